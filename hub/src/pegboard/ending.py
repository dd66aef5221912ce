"""The end of the process: what a plugin has left behind does not keep it from ending."""

import asyncio
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

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
        # In a thread that can be left behind as well: somebody stuck may hold the lock of a handler.
        last = threading.Thread(target=self._tell, name="pegboard end of the log", daemon=True)
        last.start()
        last.join(2 * FLUSH)
        os._exit(status)

    def _tell(self) -> None:
        for left in what_is_left(self.loop):
            log.error("the process ends without waiting any longer for %s", left)
        by = time.monotonic() + FLUSH
        while self.unwritten() and time.monotonic() < by:
            time.sleep(0.01)
        logging.shutdown()


async def let_go(within: float = AFTERWARDS) -> None:
    """Cancel every other task of this loop, and see that the end of the loop waits neither for those that ignore it
    nor for threads. The log names the tasks."""
    asyncio.get_running_loop().set_default_executor(_Unwaited())
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=within)
    for task in [task for task in others if not task.done()]:
        log.error("the process ends without waiting any longer for %s", told_of(task))
        setattr(task, "_log_destroy_pending", False)  # noqa: B010 # or asyncio tells of it as well
        asyncio._unregister_task(task)  # pyright: ignore # documented, for loops of others; so nobody waits for it


class _Unwaited(ThreadPoolExecutor):
    """Takes the place of the executor whose threads the end of a loop would wait for."""

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 # as it is called
        super().shutdown(wait=False, cancel_futures=cancel_futures)


def told_of(task: "asyncio.Task[Any]") -> str:
    """A task, and the place where it waits."""
    return f"the task {task.get_name()!r}, in {place_of_task(task)}"


def what_is_left(loop: asyncio.AbstractEventLoop | None = None) -> list[str]:
    """The tasks of the loop and the busy threads, each with the place where it is."""
    tasks = () if loop is None else asyncio.all_tasks(loop)
    told = [told_of(task) for task in tasks]
    return [*told[:MOST_TOLD], *busy_threads()][: 2 * MOST_TOLD]


def busy_threads() -> Iterator[str]:
    """The threads that the interpreter would wait for, but the main one, each with the place where it is."""
    frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage] # as in `lag`
    for thread in threading.enumerate():
        place = place_of(frames.get(thread.ident or 0))
        if not thread.daemon and thread is not threading.main_thread() and not IDLE.match(place):
            yield f"the thread {thread.name!r}, in {place}"
