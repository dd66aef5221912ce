"""The event loop's lag: how late it wakes up, and what held it up while it did not."""

import logging
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio

from pegboard.stacks import place_of

log = logging.getLogger(__name__)

BEAT = 0.1
"""Seconds between two looks at the clock."""

TOO_LATE = 0.25
"""Seconds without a beat after which it is told who holds up everybody."""


@asynccontextmanager
async def watching_the_loop(lagged: Callable[[float], None], too_late: float = TOO_LATE) -> AsyncGenerator[None]:
    """Tell `lagged` ten times a second how late the event loop is, while the block runs.

    A thread beside it logs where the loop's thread is when the loop has not come round for `too_late` seconds, once
    for each time: a plugin that blocks it holds up every session.
    """
    pulse = _Pulse(threading.get_ident(), too_late)
    watcher = threading.Thread(target=pulse.watch, name="pegboard lag", daemon=True)
    watcher.start()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_beat, pulse, lagged)
            yield
            tasks.cancel_scope.cancel()
    finally:
        pulse.ended.set()


async def _beat(pulse: "_Pulse", lagged: Callable[[float], None]) -> None:
    while True:
        await anyio.sleep(BEAT)
        late = pulse.beat()
        lagged(late)
        if late > pulse.too_late:
            log.warning("the event loop was held up for %.0f ms", late * 1000)


@dataclass(eq=False)
class _Pulse:
    """When the loop was last seen, and the thread that looks after it."""

    thread: int
    too_late: float

    def __post_init__(self) -> None:
        self.ended = threading.Event()
        self._last = time.monotonic()
        self._told: float | None = None

    def beat(self) -> float:
        """The loop is here; returns how late."""
        before, self._last = self._last, time.monotonic()
        return max(0.0, self._last - before - BEAT)

    def watch(self) -> None:
        """Look every now and then, until the end."""
        while not self.ended.wait(BEAT):
            self.look()

    def look(self) -> None:
        """Tell where the loop's thread is, if it is late and that is not told yet."""
        last = self._last
        late = time.monotonic() - last - BEAT
        if late > self.too_late and self._told != last:
            self._told = last
            log.warning("the event loop is held up, for %.0f ms by now, in %s", late * 1000, self._place())

    def _place(self) -> str:
        # Documented as for debugging only, and this is that: nothing else tells where another thread is.
        frame = sys._current_frames().get(self.thread)  # pyright: ignore[reportPrivateUsage]
        return place_of(frame)
