"""Traffic: what is in flight and what is open, so that stopping loses no answer."""

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Self

import anyio
from starlette.types import Receive

from pegboard.metrics import Metrics
from pegboard.serving.closing import Closing, until

log = logging.getLogger(__name__)

FAREWELL_TIMEOUT = 1.0


class Gauge:
    """How many there are now; a context manager that counts one, and a way to wait for none."""

    def __init__(self) -> None:
        self.value = 0
        self._none = anyio.Event()

    def add(self) -> None:
        """Count one more; each needs a `remove`."""
        self.value += 1

    def remove(self) -> None:
        """Count one less."""
        self.value -= 1
        if not self.value:
            self._none.set()

    def __enter__(self) -> Self:
        self.add()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    async def none(self) -> None:
        """Wait until there are none."""
        while self.value:
            if self._none.is_set():
                self._none = anyio.Event()
            await self._none.wait()


class Traffic:
    """Counts exchanges (a request and its answer) and streams (open until somebody ends them).

    Stopping goes in steps: `leaving` turns readiness off, `draining` new work away; when the last exchange is answered,
    or the grace time is over, subscriptions say farewell, and `closing` ends every stream.
    """

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.exchanges = Gauge()
        self.streams = Gauge()
        self.subscriptions = Gauge()
        self.leaving = False
        self.draining = False
        self.closing = Closing()
        self._told: set[Callable[[], None]] = set()

    async def leave(self, delay: float) -> None:
        """Turn readiness off, and go on with everything for `delay` seconds: load balancers have to see it first."""
        self.leaving = True
        if delay:
            log.info("leaving: not ready any more, and new work is taken for another %g s", delay)
            await anyio.sleep(delay)

    async def drain(self, grace: float, farewell: Callable[[], None] = lambda: None) -> None:
        """Wait until everything in flight is answered, at most `grace` seconds, then end what is open.

        `farewell` asks the subscriptions to end themselves; they have a second for it.
        """
        self.leaving = self.draining = True
        for drains in tuple(self._told):
            drains()
        log.info("draining: %d calls in flight, %d streams open", self.exchanges.value, self.streams.value)
        with anyio.move_on_after(grace):
            await self.exchanges.none()
        if self.exchanges.value:
            log.warning("%d calls did not finish within %g s and are cancelled", self.exchanges.value, grace)
        farewell()
        with anyio.move_on_after(FAREWELL_TIMEOUT):
            await self.subscriptions.none()
        self.closing.set()

    @contextmanager
    def telling(self, drains: Callable[[], None]) -> Generator[None]:
        """Call `drains` when draining begins, if that happens inside the block."""
        self._told.add(drains)
        try:
            yield
        finally:
            self._told.discard(drains)

    def until_closing(self, receive: Receive, *closings: Closing) -> Receive:
        """A `receive` that also says the client is gone when the streams are to end, or one of `closings` comes."""
        return until((self.closing, *closings), receive)
