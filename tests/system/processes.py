"""Hub processes: started from a configuration file, waited for, stopped by their id."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import anyio.to_thread
import tomlkit
from tests.system.canaries import ENVIRON
from tests.system.installed import Installed

PEGBOARD = str(Path(sys.executable).with_name("pegboard"))
READY = r"is ready at (https?://[^\s/]+:\d+)"
START_LIMIT = 30.0

WRITTEN: "list[Lines]" = []
"""What the processes of this run have written; it is searched for canaries at the end."""

STOP_LIMIT = 10.0


class Lines:
    """What a process has written; a thread reads it, so that nothing is lost and nobody has to poll."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._text = ""
        self._ended = False
        self._changed = threading.Condition()
        WRITTEN.append(self)
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def text(self) -> str:
        with self._changed:
            return self._text

    def wait_for(self, pattern: str, timeout: float = 10) -> re.Match[str]:
        """The first match in a whole line; fails when the process ends, or the time does, without one."""
        expression, deadline = re.compile(pattern), time.monotonic() + timeout
        with self._changed:
            while True:
                found = expression.search(self._text[: self._text.rfind("\n") + 1])
                if found is not None:
                    return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0 or not self._changed.wait(left):
                    raise AssertionError(f"nothing like {pattern!r} was written:\n{self._text[-4000:]}")

    def wait_for_end(self, timeout: float = 5) -> str:
        """Everything, when the process has closed its end."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended, timeout), "the output is still open"
            return self._text

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._text += line.decode(errors="replace")
                self._changed.notify_all()
        self._stream.close()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class HubProcess:
    """A running `pegboard serve`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.process = process
        self.log = Lines(process.stdout)
        self.url = ""
        self.started_in = 0.0

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def ended(self, timeout: float = STOP_LIMIT) -> int:
        """The exit status, once there is one."""
        return await anyio.to_thread.run_sync(lambda: self.process.wait(timeout))

    async def said(self, pattern: str, timeout: float = 10) -> re.Match[str]:
        return await anyio.to_thread.run_sync(lambda: self.log.wait_for(pattern, timeout))


@contextmanager
def serving(
    folder: Path,
    *plugins: Installed,
    settings: Mapping[str, Any] | None = None,
    trust: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
    program: str = PEGBOARD,
) -> Generator[HubProcess]:
    """A hub on a port of its own that listens inside the block and is gone after it; `plugins` are trusted."""
    file = configure(folder, plugins, settings, trust)
    process = subprocess.Popen(
        [program, "serve", "--config", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environment(plugins, environ),
    )
    hub = HubProcess(process)
    try:
        hub.url = hub.log.wait_for(READY, START_LIMIT)[1]
        yield hub
    finally:
        stop(process)


def configure(
    folder: Path,
    plugins: Sequence[Installed],
    settings: Mapping[str, Any] | None = None,
    trust: Sequence[str] | None = None,
) -> Path:
    """Write a configuration file that listens on any free port and trusts `plugins`, or what `trust` says."""
    allow = [plugin.name for plugin in plugins] if trust is None else list(trust)
    given = {"trust": {"allow": allow}, **(settings or {})}
    given["server"] = {"port": 0, **given.get("server", {})}
    file = folder / "pegboard.toml"
    file.write_text(tomlkit.dumps(given))  # pyright: ignore[reportUnknownMemberType] # half typed
    return file


def environment(plugins: Sequence[Installed], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of a hub or a tracer, and with `plugins` to be found."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PEGBOARD_", "OTEL_"))}
    path = os.pathsep.join(str(plugin.folder) for plugin in plugins)
    return {**ours, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **ENVIRON, **(environ or {})}


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here; gently, then not."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_LIMIT)
