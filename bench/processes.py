"""Server processes: started on a core of their own, waited for, stopped by their id."""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
START_LIMIT = 30.0
STOP_LIMIT = 10.0


class StartError(Exception):
    """A server did not start; carries what it said."""


@contextmanager
def running(
    command: Sequence[str], ready: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Generator[psutil.Popen]:
    """A process that is ready inside the block and gone after it; raises `StartError` if it never is."""
    with tempfile.TemporaryFile() as said:
        process = psutil.Popen(
            [sys.executable, *command], cwd=ROOT, stdout=said, stderr=said, env={**os.environ, **(environment or {})}
        )
        try:
            if not became(ready, process):
                said.seek(0)
                raise StartError(f"{' '.join(command)} did not start:\n{said.read().decode(errors='replace')[-3000:]}")
            yield process
        finally:
            stop(process)


def became(ready: Callable[[], bool], process: psutil.Popen) -> bool:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return True
        time.sleep(0.005)
    return False


def stop(process: psutil.Popen) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_LIMIT)


def listening(port: int) -> Callable[[], bool]:
    """Whether somebody accepts connections; uvicorn does so once its app has started."""

    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ready


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def core(number: int) -> Generator[None]:
    """Keep this process, and what it starts meanwhile, on one core, where the system has such a thing.

    Children inherit it, with all their threads; pinning them afterwards would race with their start.
    """
    if sys.platform != "linux":  # macOS cannot pin
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
