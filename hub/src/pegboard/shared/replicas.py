"""Replicas: everything they share, over one link, looked after by one task."""

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
from pydantic import SecretStr

from pegboard.shared import news, revocations
from pegboard.shared.buckets import SharedBuckets
from pegboard.shared.link import Away, Link
from pegboard.shared.news import Changed, News
from pegboard.shared.once import Once
from pegboard.shared.revocations import Revocations

log = logging.getLogger(__name__)

LOOK_EVERY = 3.0
"""Seconds between two looks at what was revoked; the news of it come at once."""

TRY_EVERY = 1.0
"""Seconds between two attempts to listen."""


class Replicas:
    """The hubs with the same Redis, as one of them sees it. Raises `ConfigError` for a Redis that cannot be used at
    all; one that is away is no error."""

    def __init__(
        self,
        url: SecretStr,
        heard: Callable[[Changed], Awaitable[None]],
        known: Callable[[str, str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.link = Link(url, clock)
        self.buckets = SharedBuckets(self.link)
        self.revocations = Revocations(self.link)
        self.once = Once(self.link)
        self.news = News(self.link, heard, known)
        self._more_revoked = anyio.Event()

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Hear of the others inside the block. What was revoked before is known when it begins, if Redis is there."""
        async with self.link, anyio.create_task_group() as tasks:
            with suppress(Away):
                await self.revocations.learn()
            tasks.start_soon(self.news.pass_on)
            tasks.start_soon(self._listen)
            yield
            tasks.cancel_scope.cancel()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception as error:  # noqa: BLE001 # whatever is wrong with Redis, it may be right again
                log.debug("the other replicas are not heard: %s", type(error).__name__)
            await anyio.sleep(TRY_EVERY)

    async def _listen_once(self) -> None:
        """Listen until Redis does not answer: a line that is dead says nothing, and neither does one without news."""
        await self.revocations.learn()  # raises at once while it is known to be away
        channels = (news.CHANNEL, revocations.CHANNEL)
        async with self.link.listening(*channels) as receive, anyio.create_task_group() as tasks:
            tasks.start_soon(self._learn)
            while True:
                channel, text = await receive()
                if channel == news.CHANNEL:
                    self.news.take(text)
                else:
                    self._more_revoked.set()

    async def _learn(self) -> None:
        """Look at what was revoked when there is news of it, and else now and then. Raises `Away`."""
        while True:
            self._more_revoked = anyio.Event()
            await self.revocations.learn()
            with anyio.move_on_after(LOOK_EVERY):
                await self._more_revoked.wait()
