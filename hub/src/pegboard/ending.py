"""The end of the process: what a plugin has left behind does not keep it from ending."""

import asyncio
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from pegboard.overdue import LATE
from pegboard.stacks import place_of, place_of_task

log = logging.getLogger(__name__)

CLOSING = LATE + 1.0
"""Seconds after the calls in flight were answered, in which everything must have closed."""

AFTERWARDS = 1.0
"""Seconds that what is left has at the very end: tasks when the hub is closed, threads when the loop is."""

FLUSH = 1.0
MOST_TOLD = 20

IDLE = re.compile(
    r"wait \(threading\.py:\d+\) < get \(queue\.py:\d+\) < run \(_asyncio\.py|_worker \(thread\.py:\d+\) < run"
)
"""Where a thread is that waits for work: one of anyio's, or of an executor's."""


@contextmanager
def ending() -> Generator["Ending"]:
    """An end of the process that is called off when the block is left."""
    end = Ending(asyncio.get_running_loop())
    try:
        yield end
    finally:
        end.off.set()


class Ending:
    """Ends the process from a thread, whatever its event loop does.

    The log names what is left. Records of the audit log that wait are written first: `unwritten` says how many do.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop
        self.off = threading.Event()
        """Set it to call the end off."""
        self.unwritten: Callable[[], int] = lambda: 0

    def within(self, seconds: float, status: int = 0) -> None:
        """End the process with this status, if it has not ended itself by then."""
        threading.Thread(target=self._wait, args=(seconds, status), name="pegboard end", daemon=True).start()

    def _wait(self, seconds: float, status: int) -> None:
        if self.off.wait(seconds):
            return
        for left in what_is_left(self.loop):
            log.error("the process ends without waiting any longer for %s", left)
        self._flush()
        os._exit(status)

    def _flush(self) -> None:
        by = time.monotonic() + FLUSH
        while self.unwritten() and time.monotonic() < by:
            time.sleep(0.01)
        logging.shutdown()


def what_is_left(loop: asyncio.AbstractEventLoop | None = None) -> list[str]:
    """The tasks of the loop and the busy threads, each with the place where it is."""
    tasks = () if loop is None else asyncio.all_tasks(loop)
    told = [f"the task {task.get_name()!r}, in {place_of_task(task)}" for task in tasks]
    return [*told[:MOST_TOLD], *busy_threads()][: 2 * MOST_TOLD]


def busy_threads() -> Iterator[str]:
    """The threads that the interpreter would wait for, but the main one, each with the place where it is."""
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] # as in `lag`
    for thread in threading.enumerate():
        place = place_of(frames.get(thread.ident or 0))
        if not thread.daemon and thread is not threading.main_thread() and not IDLE.match(place):
            yield f"the thread {thread.name!r}, in {place}"
