"""The link to the Redis that replicas share: every question has a deadline, and one that is away is asked seldom."""

import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Self, TypeVar, cast

import anyio
from pydantic import SecretStr

from pegboard.errors import ConfigError

log = logging.getLogger(__name__)

T = TypeVar("T")

DEADLINE = 0.1
"""Seconds an answer may take that a request waits for; nobody waits longer for Redis than for the tool."""

PATIENCE = 1.0
"""Seconds where no request waits."""

PAUSE = 3.0
"""Seconds until a Redis that did not answer is asked again, by one of those who want to."""

CONNECTIONS = 16


class Away(Exception):  # noqa: N818 # a state, not a failure
    """Redis does not answer, or did not lately."""


class Link:
    """One Redis; an async context manager that closes its connections.

    Nothing is opened before the first question. Raises `ConfigError` without the package, or for what is no URL.
    """

    def __init__(self, url: SecretStr, clock: Callable[[], float] = time.monotonic) -> None:
        self.client = _client(url)
        self.is_there = True
        """Whether Redis has answered lately, or was not asked yet."""
        self._clock = clock
        self._ask_at = -math.inf

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(Exception):  # a connection that is gone cannot be closed politely
            await self.client.aclose()

    async def ask(self, question: Callable[[], Awaitable[T]], deadline: float | None = None) -> T:
        """What `question` returns, within `DEADLINE` if no other is said. Raises `Away`.

        It does so at once while that is known, but for questions with a deadline of their own, which nobody waits for:
        an answer that came too late for a request must not keep revoked keys alive.
        """
        if deadline is None and not self.is_there:
            if self._clock() < self._ask_at:
                raise Away
            self._ask_at = self._clock() + PAUSE  # the others need not wait for the answer
        began = anyio.current_time()
        try:
            with anyio.fail_after(DEADLINE if deadline is None else deadline):
                answer = await question()
        except Exception as error:  # noqa: BLE001 # whatever is wrong with Redis must not be wrong with the hub
            self._lost(error)
            await self._hang_up()
            raise Away from None  # its words may hold the URL
        if anyio.current_time() - began <= DEADLINE:  # else it is still too slow for requests
            self._found()
        return answer

    @asynccontextmanager
    async def listening(self, *channels: str) -> AsyncGenerator[Callable[[], Awaitable[tuple[str, bytes]]]]:
        """Subscribe; yields what waits for the next message: its channel and its text. Raises whatever goes wrong."""
        async with self.client.pubsub(ignore_subscribe_messages=True) as inbox:
            with anyio.fail_after(PATIENCE):
                await inbox.subscribe(*channels)

            async def receive() -> tuple[str, bytes]:
                while True:
                    message = await inbox.get_message(timeout=None)
                    if message is not None:
                        return message["channel"].decode(), message["data"]

            yield receive

    async def _hang_up(self) -> None:
        """Close what waits to be used again: when Redis is back, none of it leads there."""
        with suppress(Exception), anyio.move_on_after(DEADLINE):
            await self.client.connection_pool.disconnect(inuse_connections=False)

    def _lost(self, error: Exception) -> None:
        if self.is_there:
            log.warning("Redis does not answer (%s); this process goes on by itself", type(error).__name__)
        self.is_there, self._ask_at = False, self._clock() + PAUSE

    def _found(self) -> None:
        if not self.is_there:
            log.warning("Redis answers again; replicas share what they did before")
        self.is_there = True


def _client(url: SecretStr) -> Any:
    try:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise ConfigError("[server] redis: needs a package; pip install 'pegboard[redis]'") from error
    try:
        pool = cast(Any, BlockingConnectionPool).from_url(
            url.get_secret_value(),
            max_connections=CONNECTIONS,
            timeout=DEADLINE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:  # its words hold parts of the URL
        raise ConfigError("[server] redis: not a URL of Redis; write redis://HOST:6379/0") from None
    return cast(Any, Redis).from_pool(pool)
