"""Starting: read the settings, begin to log, and run an async function until it is done or a signal comes."""

import os
import signal
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, ParamSpec, TypeVar

import anyio
import click

from pegboard.cli.options import wants_traceback
from pegboard.configuration import find_file, load_settings
from pegboard.ending import let_go
from pegboard.logs import Format, configure_logging
from pegboard.settings import HubSettings

P = ParamSpec("P")
T = TypeVar("T")


def read_settings(config: Path | None, *, server: dict[str, Any] | None = None, strict: bool = False) -> HubSettings:
    """The settings of the file and the environment, with what the command line says instead.

    Raises `ConfigError` for anything wrong in them.
    """
    return changed(load_settings(find_file(config, os.environ)), server=server, strict=strict)


def changed(settings: HubSettings, *, server: dict[str, Any] | None = None, strict: bool = False) -> HubSettings:
    """The settings with what the command line says instead."""
    given = {key: value for key, value in (server or {}).items() if value is not None}
    changes: dict[str, Any] = {"server": settings.server.model_copy(update=given)}
    if strict:
        changes["loading"] = settings.loading.model_copy(update={"strict": True})
    return settings.model_copy(update=changes)


def log_to_stderr(
    level: str,
    format: Format = "text",  # noqa: A002 # the setting's name
    worker: str | None = None,
) -> None:
    """Log at this level, or everything with `--debug`; each line names the worker, if the process is one."""
    configure_logging("debug" if wants_traceback(click.get_current_context()) else level, format, worker)


def run(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run an async function in an event loop, the fast one if it is installed.

    An error that is alone in the groups its way through task groups has put around it is raised without them.
    """

    async def work() -> T:
        try:
            return await function(*args, **kwargs)
        finally:
            await let_go()  # what is left now would be waited for

    try:
        return anyio.run(work, backend_options={"use_uvloop": find_spec("uvloop") is not None})
    except BaseException as error:
        if lone(error) is error:
            raise
        raise lone(error) from error


def lone(error: BaseException) -> BaseException:
    """The only error in a group and the groups in that; a group of several as it is."""
    inner: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return lone(inner[0]) if len(inner) == 1 else error


@contextmanager
def stopped_by_signal() -> Generator[None]:
    """Take SIGTERM for Ctrl-C while the block starts up, and end the block quietly at either.

    Once the hub listens it handles both itself, and lets calls in flight finish.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_: int, __: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
