"""A real Redis on a free port of loopback, which a test may kill, freeze and start again."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

MISSING = "redis-server is not installed; Debian and Ubuntu have it: apt-get install redis-server"
START_LIMIT = 10.0
PASSWORD = "hunter2"


class RedisServer:
    """Starts in a folder; the port stays the same over a restart."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._log = folder / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it; it listens when this returns."""
        for _ in range(5):
            self.port = self.port or _free_port()
            options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            options += ["--requirepass", PASSWORD, "--logfile", str(self._log), "--dir", str(self._folder)]
            self._process = subprocess.Popen([self._program, *options], stdin=subprocess.DEVNULL)
            if self._is_up():
                self._starts += 1
                return
            self._process.wait(START_LIMIT)  # somebody has taken the port
            self.port = 0
        raise AssertionError(self._log.read_text())

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(START_LIMIT)

    def _is_up(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + START_LIMIT
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._log.is_file() and self._log.read_text().count("Ready to accept connections") > self._starts:
                return True
            time.sleep(0.01)
        return False


@contextmanager
def redis_server(folder: Path) -> Generator[RedisServer]:
    """A server that is gone after the block. Without the program the test is left out, and fails where CI runs."""
    program = shutil.which("redis-server")
    if program is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    server = RedisServer(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _free_port() -> int:

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
