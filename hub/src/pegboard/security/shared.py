"""Token buckets in Redis, which several replicas share for as long as Redis answers."""

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import anyio
from pydantic import SecretStr

from pegboard.errors import ConfigError
from pegboard.security.buckets import Rate

log = logging.getLogger(__name__)

DEADLINE = 0.1
"""Seconds a decision may take; nobody waits longer for Redis than for the tool."""

PAUSE = 3.0
"""Seconds until a Redis that did not answer is asked again, by one request."""

CONNECTIONS = 16
PREFIX = "pegboard:limits:"

# The clock is that of Redis, so that those of the replicas need not agree. It may jump: a bucket is never emptier than
# empty, so that nobody waits for an hour that was lost.
SCRIPT = """
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
full_at = math.min(math.max(full_at, now), now + interval * burst)
local wait = full_at - now - interval * (burst - 1)
if wait > 0.000001 then return tostring(wait) end
full_at = full_at + interval
redis.call('SET', KEYS[1], string.format('%.6f', full_at), 'PX', math.ceil((full_at - now) * 1000))
return '0'
"""


class SharedBuckets:
    """Buckets that hubs with the same Redis share. Raises `ConfigError` without the package, or for no URL.

    Each decision is one script, so that two hubs never take the same token. While Redis is away `take` says so at
    once, and one request in three seconds asks whether it is back.
    """

    def __init__(self, url: SecretStr, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = _client(url)
        self._script = self._client.register_script(SCRIPT)
        self._clock = clock
        self._ask_at = -math.inf
        self.is_there = True
        """Whether Redis has answered lately, or was not asked yet."""

    async def take(self, name: str, rate: Rate) -> float | None:
        """Take one out, as `Buckets.take`; `None` while Redis is away."""
        if not self.is_there:
            if self._clock() < self._ask_at:
                return None
            self._ask_at = self._clock() + PAUSE  # the others need not wait for the answer
        try:
            with anyio.fail_after(DEADLINE):
                wait = await self._script(keys=[PREFIX + name], args=[rate.interval, rate.burst])
        except Exception as error:  # noqa: BLE001 # whatever is wrong with Redis must not be wrong with the hub
            self._lost(error)
            return None
        self._found()
        return float(wait)

    async def close(self) -> None:
        """Close the connections."""
        with suppress(Exception):  # a connection that is gone cannot be closed politely
            await self._client.aclose()

    def _lost(self, error: Exception) -> None:
        # Its words may hold the URL.
        if self.is_there:
            log.warning("Redis does not answer (%s); limits count in this process only", type(error).__name__)
        self.is_there, self._ask_at = False, self._clock() + PAUSE

    def _found(self) -> None:
        if not self.is_there:
            log.warning("Redis answers again; limits are shared")
        self.is_there = True


def _client(url: SecretStr) -> Any:
    try:
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise ConfigError("[limits] redis: needs a package; pip install 'pegboard[redis]'") from error
    try:
        pool = cast(Any, BlockingConnectionPool).from_url(
            url.get_secret_value(),
            max_connections=CONNECTIONS,
            timeout=DEADLINE,
            socket_connect_timeout=DEADLINE,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError:  # its words hold parts of the URL
        raise ConfigError("[limits] redis: not a URL of Redis; write redis://HOST:6379/0") from None
    return cast(Any, Redis).from_pool(pool)
