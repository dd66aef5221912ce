"""Traffic: what is in flight and what is open, so that stopping loses no answer."""

import logging
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager

import anyio
from starlette.types import Message, Receive

log = logging.getLogger(__name__)


class Traffic:
    """Counts exchanges (a request and its answer) and streams (open until somebody ends them).

    Stopping goes in three steps: `draining` turns readiness off and new sessions away; when the last exchange is
    answered, or the grace time is over, `closing` ends the streams.
    """

    def __init__(self) -> None:
        self.exchanges = 0
        self.streams = 0
        self.draining = False
        self.closing = anyio.Event()
        self._quiet = anyio.Event()

    def begin(self) -> None:
        """An exchange began; each `begin` needs an `end`."""
        self.exchanges += 1

    def end(self) -> None:
        """An exchange was answered, or will never be."""
        self.exchanges -= 1
        if self.draining and self.exchanges == 0:
            self._quiet.set()

    @contextmanager
    def exchange(self) -> Generator[None]:
        """Count an exchange for as long as the block runs."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    @contextmanager
    def stream(self) -> Generator[None]:
        """Count an open stream for as long as the block runs."""
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    async def drain(self, grace: float) -> None:
        """Wait until everything in flight is answered, at most `grace` seconds, then end the streams."""
        self.draining = True
        log.info("draining: %d calls in flight, %d streams open", self.exchanges, self.streams)
        with anyio.move_on_after(grace) as scope:
            if self.exchanges:
                await self._quiet.wait()
        if scope.cancelled_caught:
            log.warning("%d calls did not finish within %g s and are cancelled", self.exchanges, grace)
        self.closing.set()

    def until_closing(self, receive: Receive) -> Receive:
        """A `receive` that also says the client is gone when the streams are to end."""

        async def receive_or_close() -> Message:
            if self.closing.is_set():
                return {"type": "http.disconnect"}
            return await _first(receive, self._disconnect)

        return receive_or_close

    async def _disconnect(self) -> Message:
        await self.closing.wait()
        return {"type": "http.disconnect"}


async def _first(*waits: Callable[[], Awaitable[Message]]) -> Message:
    """The result of whichever wait ends first; the others are cancelled."""
    results: list[Message] = []

    async def run(wait: Callable[[], Awaitable[Message]]) -> None:
        results.append(await wait())
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for wait in waits:
            tasks.start_soon(run, wait)
    return results[0]
