"""One pool per graph: connections lent for one transaction that is rolled back, with a bound on every wait."""

import logging
import re
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal, cast

import anyio

from pegboard import PoolKind, Usage
from pegboard_neo4j import driver, engine, failures
from pegboard_neo4j.cache import Cache
from pegboard_neo4j.engine import Engine
from pegboard_neo4j.target import Target, describe
from pegboard_neo4j.transaction import Transaction

if TYPE_CHECKING:
    from neo4j import AsyncDriver, AsyncSession, AsyncTransaction

log = logging.getLogger(__name__)

BUSY_TIMEOUT = 2.0
"""How long a call waits for a connection that somebody else holds."""
MAX_WAITING = 500
"""How many calls may wait at once; one more is told right away that the pool is busy."""
RELEASE_TIMEOUT = 1.0
STOP_TIMEOUT = 1.5
CLOSE_TIMEOUT = 2.0
MIN_SECONDS = 0.05
GRACE = 0.5
"""How much longer than the server the client waits, so that the server's own message comes first."""
FETCH_SIZE = 1000

TRANSACTION_ID = re.compile(r"[\w-]+")

ENGINE = "engine"

Access = Literal["READ", "WRITE"]


class Graph:
    """The connections to one graph. Safe to share between calls."""

    def __init__(self, target: Target, neo4j: "AsyncDriver") -> None:
        self.target = target
        self.cache = Cache()
        """What the tools remember of the graph for a short while."""
        self._driver = neo4j
        self._free = anyio.Semaphore(target.max_connections)
        self._probing = anyio.Lock()
        self._engine: Engine | None = None
        name = secrets.token_hex(8)
        self._marks = [f"pegboard-{name}-{number}" for number in range(target.max_connections)]

    @asynccontextmanager
    async def read(
        self, *, timeout: float | None = None, lasting: float | None = None, fetch_size: int = FETCH_SIZE
    ) -> AsyncGenerator[Transaction]:
        """Lend a connection in a READ transaction that is always rolled back.

        `timeout` is what is left of the call's time; the transaction ends at it or at the target's query timeout, on
        the server too. With `lasting` it may stay open for so many seconds, and each wait in it ends at the timeout.
        Raises `ToolError` when the graph cannot be reached, when all connections stay busy for 2 seconds, and for
        whatever the driver raises inside. Leaving it with rows unread, or by a cancellation, stops the statement.
        """
        async with self._lent("READ", timeout, lasting, fetch_size) as transaction:
            yield transaction

    @asynccontextmanager
    async def write(self, *, timeout: float | None = None) -> AsyncGenerator[Transaction]:
        """Lend a connection in a WRITE transaction that is rolled back unless it was committed; otherwise as `read`."""
        async with self._lent("WRITE", timeout, None, FETCH_SIZE) as transaction:
            yield transaction

    @property
    def usage(self) -> Usage:
        """How many connections are lent, and how many calls wait for one."""
        most, free = self.target.max_connections, self._free.statistics()
        return Usage(in_use=most - self._free.value, waiting=free.tasks_waiting, limit=most)

    @asynccontextmanager
    async def _lent(
        self, access: Access, timeout: float | None, lasting: float | None, fetch_size: int
    ) -> AsyncGenerator[Transaction]:
        most = self.target.query_timeout
        seconds = most if timeout is None else max(MIN_SECONDS, min(most, timeout))
        end = None if lasting else anyio.current_time() + seconds + GRACE
        with failures.explained(self.target):
            async with self._place() as mark:
                found, session, begun = await self._connect(access, lasting or seconds, fetch_size)
                mark = "" if found.is_neo4j else mark  # it stops what nobody waits for without being told
                transaction = Transaction(begun, found, seconds, end, mark and f"\n// {mark}")
                answered = False
                try:
                    yield transaction
                    answered = transaction.is_finished
                except Exception as error:
                    answered = failures.code(error.__cause__ or error) is not None or transaction.is_finished
                    raise
                finally:
                    await self._leave(session, begun, answered, mark)

    @asynccontextmanager
    async def _place(self) -> AsyncGenerator[str]:
        """A place among the connections, with a mark no other has meanwhile.

        There are few marks, so that a server's cache of the statements it has parsed stays of use.
        """
        if self._free.statistics().tasks_waiting >= MAX_WAITING:
            raise failures.busy(self.target)
        with anyio.move_on_after(BUSY_TIMEOUT) as scope:
            await self._free.acquire()
        if scope.cancelled_caught:
            raise failures.busy(self.target)
        mark = self._marks.pop()
        try:
            yield mark
        finally:
            self._marks.append(mark)
            self._free.release()

    async def _connect(
        self, access: Access, seconds: float, fetch_size: int
    ) -> "tuple[Engine, AsyncSession, AsyncTransaction]":
        try:
            with anyio.fail_after(self.target.connect_timeout):
                found = await self._probed()
                # After a restart every pooled connection may be stale; the last attempt is certainly a new one.
                attempts = self.target.max_connections + driver.SPARE_CONNECTIONS + 1
                session, transaction = await self._begin(access, seconds, fetch_size, attempts)
                return found, session, transaction
        except (*driver.errors(), TimeoutError, ValueError) as error:
            raise failures.unreachable(self.target, error) from error

    async def _begin(
        self, access: Access, seconds: float, fetch_size: int, attempts: int
    ) -> "tuple[AsyncSession, AsyncTransaction]":
        session = self._session(access, fetch_size)
        try:
            return session, await session.begin_transaction(timeout=seconds, metadata={"app": "pegboard"})
        except BaseException as error:
            await _drop(session)
            if attempts == 1 or not _is_stale(error):
                raise
        return await self._begin(access, seconds, fetch_size, attempts - 1)

    def _session(self, access: Access, fetch_size: int = FETCH_SIZE) -> "AsyncSession":
        open_session = cast("Callable[..., AsyncSession]", self._driver.session)  # pyright: ignore[reportUnknownMemberType]
        return open_session(database=self.target.database, default_access_mode=access, fetch_size=fetch_size)

    async def _leave(self, session: "AsyncSession", begun: "AsyncTransaction", answered: bool, mark: str) -> None:
        """Give a connection back; drop it where a statement may still run, and where giving it back takes long."""
        with anyio.CancelScope(shield=True):
            if answered:
                with anyio.move_on_after(RELEASE_TIMEOUT), suppress(*driver.errors()):
                    await begun.rollback()
                    await session.close()
                    return
            begun.cancel()
            await _drop(session)
            if mark:
                await self._stop(mark)

    async def _stop(self, mark: str) -> None:
        """Tell the server to stop the statement with this mark; Neo4j itself needs no telling."""
        with anyio.move_on_after(STOP_TIMEOUT), suppress(*driver.errors()):
            async with self._session("READ") as session:
                rows = await (await session.run("SHOW TRANSACTIONS")).data()
                for row in rows:
                    number = str(row.get("transactionId", ""))
                    if mark in str(row.get("currentQuery", "")) and TRANSACTION_ID.fullmatch(number):
                        stop = f"TERMINATE TRANSACTION '{number}'"
                        await (await session.run(stop)).consume()  # pyright: ignore[reportArgumentType] # one of ours

    async def _probed(self) -> Engine:
        """The engine, looked at by the first call; others wait."""
        known = self._engine or self.cache.get(ENGINE)
        if known is None:
            async with self._probing:
                known = self._engine or self.cache.get(ENGINE) or await self._probe()
        return known

    async def _probe(self) -> Engine:
        async with self._session("READ") as session:
            found = await engine.probe(session)
        if found.protection == "unknown":
            self.cache.put(ENGINE, found)  # to be looked at again, when there may be something to try with
        else:
            self._engine = found
        if found.protection == "nothing":
            log.warning(
                "%s at %s does not keep the user %s from writing in a READ transaction, so that only the plugin's "
                "own guard does; connect as one who may only read (see the README of pegboard-neo4j)",
                found.agent,
                self.target,
                self.target.user,
            )
        return found


def _is_stale(error: BaseException) -> bool:
    """Whether the error is about a connection that was good once; a new one may do."""
    from neo4j.exceptions import ServiceUnavailable, SessionExpired

    if isinstance(error, SessionExpired):
        return True
    return isinstance(error, ServiceUnavailable) and "connect" not in str(error).lower().split("(")[0]


async def _drop(session: "AsyncSession") -> None:
    with anyio.CancelScope(shield=True):
        session.cancel()
        with anyio.move_on_after(RELEASE_TIMEOUT), suppress(*driver.errors()):
            await session.close()


@asynccontextmanager
async def _open(target: Target) -> AsyncGenerator[Graph]:
    with driver.quiet_notifications():
        neo4j = driver.connect(target)
        try:
            yield Graph(target, neo4j)
        finally:
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await neo4j.close()


def _usage(graph: Graph) -> Usage:
    return graph.usage


NEO4J: PoolKind[Graph] = PoolKind("neo4j", _open, describe, backend=describe, usage=_usage)
"""Graphs by `Target`. Nothing is connected before the first `read()`."""
