"""Demos: what plugins bring to try them with, found by entry point, started side by side and closed in reverse."""

import os
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import anyio
import platformdirs

from pegboard.configuration import PREFIX
from pegboard.keeper import Keepers
from pegboard.loading import Owner, why_untrusted
from pegboard.settings import HubSettings

GROUP = "pegboard.demo"
"""Entry points by plugin name; each module has `demo(folder, say)`, an async context manager that yields a dict."""

ROOT_FOLDER = Path("/var/lib/pegboard/demo")
"""For root, since the servers of demos run as another user, who cannot enter /root."""

START_TIMEOUT = 600.0
"""Seconds a demo has to start; the first time it makes its data."""

STOP_TIMEOUT = 30.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo that runs: the plugin's settings for it, what the data is about, and what to ask."""

    name: str
    about: str
    questions: list[str]
    settings: dict[str, Any] = field(repr=False)


def installed_demos() -> list[EntryPoint]:
    """The entry points of all demos, in name order."""
    return sorted(entry_points(group=GROUP), key=lambda point: (point.name, Owner.of(point).distribution))


def default_folder() -> Path:
    """Where demos keep their data, each in a folder of its own."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ROOT_FOLDER if is_root else platformdirs.user_data_path("pegboard") / "demo"


@asynccontextmanager
async def running(
    points: Iterable[EntryPoint], folder: Path, allow: Iterable[str], say: Say
) -> AsyncGenerator[list[Demo]]:
    """Start the demos side by side; what cannot start is said with its remedy, and the others run."""
    allow, started = list(allow), dict[str, Demo]()

    async def start(point: EntryPoint) -> None:
        demo = await _start(keepers, point, folder, allow, say)
        if demo is not None:
            started[point.name] = demo

    async with Keepers(open_timeout=START_TIMEOUT, close_timeout=STOP_TIMEOUT) as keepers:
        async with anyio.create_task_group() as tasks:
            for point in points:
                tasks.start_soon(start, point)
        yield [started[name] for name in sorted(started)]


def with_demos(settings: HubSettings, demos: Iterable[Demo]) -> HubSettings:
    """The settings with those of the demos on top."""
    plugins = {**settings.plugins}
    for demo in demos:
        plugins[demo.name] = {**plugins.get(demo.name, {}), **demo.settings}
    return settings.model_copy(update={"plugins": plugins})


def without_overrides(environ: Iterable[tuple[str, str]], demos: Iterable[Demo]) -> dict[str, str]:
    """The environment without the variables that would point a plugin away from its demo."""
    overrides = {f"{PREFIX}{demo.name}_{key}".upper() for demo in demos for key in demo.settings}
    return {name: value for name, value in environ if name not in overrides}


async def _start(keepers: Keepers, point: EntryPoint, folder: Path, allow: list[str], say: Say) -> Demo | None:
    owner = Owner.of(point)
    reason = why_untrusted(owner, allow)
    if reason is not None:
        say(f"{point.name}: the demo of {owner.distribution} is left out: {reason}")
        return None
    try:
        say(f"{point.name}: starting the demo")
        kept = await keepers.keep(f"the demo of {point.name}", _open(point, folder / point.name, say))
        given = kept.value
        return Demo(point.name, given["about"], list(given["questions"]), given["settings"])
    except Exception as error:  # noqa: BLE001 # the demo of one plugin must not stop the others
        say(f"{point.name}: the demo cannot start: {_why(error, owner)}")
        return None


def _open(point: EntryPoint, folder: Path, say: Say) -> AbstractAsyncContextManager[dict[str, Any]]:
    def say_whose(text: str) -> None:
        say(f"{point.name}: {text}")

    return point.load().demo(folder, say_whose)


def _why(error: Exception, owner: Owner) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return f"it took longer than {START_TIMEOUT:g} s"
    if isinstance(error, ImportError):
        return f"{error}; {remedy(owner.distribution)}"
    return str(error) or type(error).__name__


def remedy(distribution: str = "pegboard") -> str:
    """How to install what a demo needs."""
    return f"pip install '{distribution}[demo]'"
