"""The front as a process of its own, so that it can be frozen, killed and started again as a server can."""

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

FRONT = str(Path(__file__).with_name("front.py"))


class FrontProcess:
    """A running front; `url` is where."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    @contextmanager
    def frozen(self) -> Generator[None]:
        """Stop it for a while, without closing anything."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(5)


@contextmanager
def front(api_key: str = "", folder: str = ":memory:", port: int = 0) -> Generator[FrontProcess]:
    """Start a front on loopback; ends it by its id."""
    process = subprocess.Popen(
        [sys.executable, FRONT, api_key, folder, str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, "the front did not start; what it says is above"
        yield FrontProcess(process, int(line))
    finally:
        process.kill()
        process.wait(5)
        process.stdout.close()
