"""Fixtures for the command line: run a command here, start a real one, and install a plugin that never was."""

import importlib
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from click.testing import CliRunner, Result
from tests.conftest import same_logging

from pegboard.cli.app import app

Run = Callable[..., Result]
Start = Callable[..., AbstractContextManager["Running"]]
Install = Callable[..., Path]

CONFIGURED = {
    "PEGBOARD_AWX_URL": "http://127.0.0.1:9",
    "PEGBOARD_AWX_TOKEN": "none",
    "PEGBOARD_NEO4J_URL": "bolt://127.0.0.1:7687",
    "PEGBOARD_QDRANT_MEMORY": "true",
}
"""What the plugins of this repository need that these tests are not about."""

DEADLINE = 30
"""Seconds a process of a test may live."""


@pytest.fixture(autouse=True)
def nothing_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """An empty folder and home, none of the caller's variables, and logging put back."""
    for name in [name for name in os.environ if name.startswith(("PEGBOARD_", "OTEL_", "NO_COLOR", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in CONFIGURED.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    with same_logging():
        yield


@pytest.fixture
def run() -> Run:
    """Run `pegboard` in this process; keyword arguments go to the runner."""

    def run(*arguments: str, **extra: Any) -> Result:
        result = CliRunner().invoke(app, list(arguments), **extra)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@dataclass(slots=True)
class Running:
    """A real `pegboard` process, killed by a timer if a test gets stuck."""

    process: subprocess.Popen[str]

    @property
    def stdin(self) -> IO[str]:
        assert self.process.stdin is not None
        return self.process.stdin

    def ready(self) -> dict[str, Any]:
        """What it says on standard output when it is ready."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return json.loads(line)

    def wait_for(self, file: Path) -> None:
        """Wait until the process has made the file, in the folder it runs in."""
        while not file.exists():
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)

    def wait_for_line(self, text: str) -> None:
        """Read its standard error up to a line with this text."""
        assert self.process.stderr is not None
        assert any(text in line for line in self.process.stderr)

    def ended(self, *, text: str | None = None, signal: int | None = None) -> tuple[int, str, str]:
        """Give it the last input or a signal, wait for its end, and return the status with the rest of its output."""
        if signal is not None:
            self.process.send_signal(signal)
        output, errors = self.process.communicate(text)
        return self.process.returncode, output, errors


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start `pegboard` as a process of its own, with what was installed here."""

    @contextmanager
    def start(*arguments: str, **variables: str) -> Generator[Running]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pegboard.cli", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), **variables},
        )
        timer = threading.Timer(DEADLINE, process.kill)
        timer.start()
        with process:
            try:
                yield Running(process)
            finally:
                process.kill()
                timer.cancel()

    return start


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Install]:
    """Install a distribution with entry points as pip would: `install("acme-tea", tea=SOURCE)`.

    Each keyword is an entry point in the group `pegboard` and the source of its module; `demos` is the same for the
    group `pegboard.demo`. Returns the folder it is in.
    """
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    before = set(sys.modules)

    def install(dist: str, version: str = "1.0", demos: dict[str, str] | None = None, **plugins: str) -> Path:
        info = site / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
        groups = {"pegboard": plugins, "pegboard.demo": demos or {}}
        lines: list[str] = []
        for group, points in groups.items():
            lines.append(f"[{group}]")
            for name, source in points.items():
                module = f"{dist}_{name}_{group}".replace("-", "_").replace(".", "_")
                (site / f"{module}.py").write_text(textwrap.dedent(source))
                lines.append(f"{name} = {module}")
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()
        return site

    yield install
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


TEA = '''
from pydantic import Field, SecretStr
from typing import Annotated

from pegboard import Call, Plugin, PluginSettings, ToolError, hookimpl, tool


class Settings(PluginSettings):
    """What the kitchen has."""

    kind: str = Field(default="green", description="The kind that is brewed.")
    key: SecretStr | None = Field(default=None, description="Opens the cupboard.")


@tool(read_only=True)
async def brew(
    cups: Annotated[int, Field(description="How many.")],
    call: Call[Settings],
    strong: bool = False,
    guests: list[str] | None = None,
    json: str = "",
) -> dict[str, object]:
    """Brew some tea. It takes a while."""
    await call.progress(1, 2, "the water boils")
    return {"cups": cups, "kind": call.settings.kind, "strong": strong, "guests": guests or [], "json": json}


@tool(read_only=True)
async def spill(how: str = "slowly") -> str:
    """Spill the tea.

    Nobody wants this.
    """
    raise ToolError(f"the tea is gone, {how}")


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="tea", tools=[brew, spill], settings=Settings)
'''

TRUST = '[trust]\nallow = ["acme-tea"]\n'


@pytest.fixture
def tea(install: Install) -> Path:
    """A plugin `tea` of the distribution `acme-tea`, and a configuration file here that trusts it."""
    install("acme-tea", "1.2", tea=TEA)
    file = Path("pegboard.toml")
    file.write_text(TRUST)
    file.chmod(0o600)
    return file
