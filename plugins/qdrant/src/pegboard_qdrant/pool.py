"""One pool per Qdrant: a client lent for some requests, with a bound on every wait."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import cast

import anyio

from pegboard import PoolKind, Usage
from pegboard_qdrant import driver, failures, tracing
from pegboard_qdrant.catalogue import Catalogue
from pegboard_qdrant.driver import Client
from pegboard_qdrant.embedded import Embedded
from pegboard_qdrant.target import Target, describe

log = logging.getLogger(__name__)

BUSY_TIMEOUT = 2.0
"""How long a call waits for a place that somebody else has."""
MAX_WAITING = 500
"""How many calls may wait at once; one more is told right away that the pool is busy."""
CLOSE_TIMEOUT = 4.0
MIN_SECONDS = 0.05
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Qdrant:
    """The collections of one Qdrant, on a server or in this process. Safe to share between calls."""

    def __init__(self, target: Target, client: Client) -> None:
        self.target = target
        self.catalogue = Catalogue(client)
        """What is known of the collections; use it inside of `use()`."""
        self._client = client
        self._free = anyio.Semaphore(target.max_connections)

    @asynccontextmanager
    async def use(self, operation: str, *, timeout: float | None = None) -> AsyncGenerator[Client]:
        """Lend the client for the requests of one operation, whose name goes to the trace.

        `timeout` is what is left of the call's time; the block ends at it or at the target's timeout, whichever is
        first. Raises `ToolError` when all places stay taken for 2 seconds, when time is up, and for whatever the
        driver raises inside. The driver itself is an `AsyncQdrantClient`, or its methods on the embedded engine.
        """
        most = self.target.timeout
        seconds = most if timeout is None else max(MIN_SECONDS, min(most, timeout))
        with tracing.span(operation, self.target), failures.explained(self.target):
            await self._wait_for_a_place()
            try:
                with anyio.move_on_after(seconds) as scope:
                    yield self._client
            finally:
                self._free.release()
            if scope.cancelled_caught:
                raise failures.timed_out(self.target, seconds, operation)

    @property
    def usage(self) -> Usage:
        """How many places are taken, and how many calls wait for one."""
        most, free = self.target.max_connections, self._free.statistics()
        return Usage(in_use=most - self._free.value, waiting=free.tasks_waiting, limit=most)

    async def _wait_for_a_place(self) -> None:
        if self._free.statistics().tasks_waiting >= MAX_WAITING:
            raise failures.busy(self.target)
        with anyio.move_on_after(BUSY_TIMEOUT) as scope:
            await self._free.acquire()
        if scope.cancelled_caught:
            raise failures.busy(self.target)


@asynccontextmanager
async def _open(target: Target | str) -> AsyncGenerator[Qdrant]:
    target = target if isinstance(target, Target) else Target(target)
    await driver.load()
    client = driver.client_of(target) if target.is_server else cast(Client, Embedded(target.location))
    _warn_of_a_bare_key(target)
    try:
        yield Qdrant(target, client)
    finally:
        # What cannot be closed in time is dropped; the engine says so by an error of its own.
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True), suppress(*driver.errors()):
            await client.close()


def _warn_of_a_bare_key(target: Target) -> None:
    if target.api_key and target.location.startswith("http://") and target.host not in LOOPBACK:
        log.warning("the API key goes to %s without TLS: use an https URL where others can listen", target)


def _usage(qdrant: Qdrant) -> Usage:
    return qdrant.usage


QDRANT: PoolKind[Qdrant] = PoolKind("qdrant", _open, describe, backend=describe, usage=_usage)
"""Qdrant pools by `Target`, or by a plain location. Nothing is sent, and no folder opened, before the first `use()`."""
