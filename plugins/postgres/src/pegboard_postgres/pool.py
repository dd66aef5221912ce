"""One pool per database: connections lent for a read-only transaction, with a bound on every wait."""

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import anyio.lowlevel

from pegboard import PoolKind, Usage
from pegboard_postgres import driver, failures, tracing
from pegboard_postgres.descriptions import Descriptions
from pegboard_postgres.driver import Connection, Pool
from pegboard_postgres.safety.functions import FunctionCache
from pegboard_postgres.safety.role import WARNING, role_of
from pegboard_postgres.target import Target, backend_of, describe

log = logging.getLogger(__name__)

BUSY_TIMEOUT = 2.0
"""How long a call waits for a connection that somebody else holds."""
REST = 0.25
"""How long a connection must have been resting before a call that waits as long gets it."""
MAX_WAITING = 500
"""How many calls may wait at once; one more is told right away that the pool is busy."""
BEGIN_TIMEOUT = 2.0
"""How long a connection may take to begin; one that takes longer is frozen, and another is tried."""
RELEASE_TIMEOUT = 1.0
CLOSE_TIMEOUT = 1.0
GRACE = 0.5
"""How much longer than the server the client waits, so that the server's own message comes first."""
MIN_SECONDS = 0.05

# The SELECT takes the snapshot after which SET TRANSACTION READ WRITE is an error.
BEGIN = "BEGIN TRANSACTION {mode}; SELECT 1; SET LOCAL statement_timeout = {milliseconds}"
# Only locks outlive a ROLLBACK; after a COMMIT the whole session is reset.
END = "ROLLBACK; SELECT pg_advisory_unlock_all()"

FORMATS = {
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
}
"""So that values look the same whatever the role or the database prefers."""

Mode = Literal["READ ONLY", "READ WRITE"]


@dataclass(eq=False, slots=True)
class Lent:
    """A connection in a transaction, lent for as long as its block lives; what it is asked has bounds."""

    connection: Connection
    target: Target
    seconds: float
    """How long a statement may take; the server ends it then."""
    resting_since: float | None = None
    """Since when nobody asks it anything, although it may still be asked; then it can be taken back."""
    is_taken: bool = False

    def rest(self) -> None:
        """Say that it is only kept for what may be asked next; somebody who needs a connection more may have it."""
        self.resting_since = anyio.current_time()

    @contextmanager
    def bounded(self, seconds: float | None = None) -> Generator[None]:
        """Give the block its time, a statement's unless told otherwise, and explain what the driver raises in it."""
        if self.is_taken:
            raise failures.taken(self.target)
        self.resting_since = None
        seconds = self.seconds if seconds is None else seconds
        end = anyio.current_time() + seconds
        with failures.explained(self.target):
            try:
                with anyio.CancelScope(deadline=end + GRACE) as scope:
                    yield
            except driver.errors() as error:
                if failures.is_cancellation(error) and anyio.current_time() > end - MIN_SECONDS:
                    raise failures.timed_out(seconds) from error
                raise
        if scope.cancelled_caught:
            raise failures.timed_out(seconds)

    async def begin_again(self) -> None:
        """End the transaction and begin a new one, so that an error in it is behind us."""
        await self.connection.execute(f"ROLLBACK; {_begin('READ ONLY', self.seconds)}")


class Database:
    """The connections to one PostgreSQL database, lent for reading unless somebody asks to write. Safe to share."""

    def __init__(self, target: Target, pool: Pool) -> None:
        self.target = target
        self.descriptions = Descriptions()
        """What the server said about statements a moment ago."""
        self.functions = FunctionCache()
        """What it said about the functions they name."""
        self._name = target.database
        self._attributes = tracing.attributes(target)
        self._pool = pool
        self._free = anyio.Semaphore(target.max_connections)
        self._lent: list[Lent] = []
        self._role_checked = False

    @asynccontextmanager
    async def read(self, *, timeout: float | None = None) -> AsyncGenerator[Connection]:
        """Lend a connection in a READ ONLY transaction that is always rolled back.

        `timeout` is what is left of the call's time; a statement ends at it or at the target's statement timeout,
        whichever is first, and so does the block. Raises `ToolError` when the database cannot be reached, when all
        connections stay busy for 2 seconds, and for whatever the driver raises inside. Cancelling the block cancels
        the statement on the server.
        """
        async with self.hold(timeout=timeout) as lent:
            with lent.bounded():
                yield lent.connection

    @asynccontextmanager
    async def write(self, *, timeout: float) -> AsyncGenerator[Connection]:
        """Lend a connection in a READ WRITE transaction; what the block has not committed is rolled back.

        The block ends after `timeout` seconds, a statement in it at the target's statement timeout. Otherwise it is
        like `read`.
        """
        async with self.hold(timeout=timeout, mode="READ WRITE") as lent:
            with lent.bounded(timeout):
                yield lent.connection

    @asynccontextmanager
    async def hold(self, *, timeout: float | None = None, mode: Mode = "READ ONLY") -> AsyncGenerator[Lent]:
        """Lend a connection in a transaction for as long as the block lives, over several calls perhaps.

        Only what is done inside `Lent.bounded` is bounded in time. Raises as `read` does.
        """
        most = self.target.statement_timeout
        seconds = most if timeout is None else max(MIN_SECONDS, min(most, timeout))
        with failures.explained(self.target):
            connection = await self._acquire(mode, seconds)
        lent = Lent(connection, self.target, seconds)
        self._lent.append(lent)
        try:
            yield lent
        finally:
            self._lent.remove(lent)
            if not lent.is_taken:
                await self._give_back(connection)

    @property
    def usage(self) -> Usage:
        """How many connections are open and lent, and how many calls wait for one."""
        most, free = self.target.max_connections, self._free.statistics()
        return Usage(self._pool.get_size(), most - self._free.value, free.tasks_waiting, most)

    def span(self, operation: str) -> AbstractContextManager[None]:
        """Trace one operation on this database, named like `SELECT shop`."""
        return tracing.span(f"{operation} {self._name}".rstrip(), self._attributes, operation)

    async def _acquire(self, mode: Mode, seconds: float) -> Connection:
        with tracing.span("postgres acquire", self._attributes):
            await self._wait_for_a_place()
            try:
                # After a restart every pooled connection may be stale; the last attempt is certainly a new one.
                with anyio.fail_after(self.target.connect_timeout):
                    return await self._begin(_begin(mode, seconds), attempts=self.target.max_connections + 1)
            except BaseException as error:
                self._free.release()
                if isinstance(error, TimeoutError):
                    raise failures.unreachable(self.target, error) from error
                raise

    async def _wait_for_a_place(self) -> None:
        with suppress(anyio.WouldBlock):
            self._free.acquire_nowait()
            return
        if self._free.statistics().tasks_waiting >= MAX_WAITING:
            raise failures.busy(self.target)
        for seconds in (REST, BUSY_TIMEOUT - REST):
            with anyio.move_on_after(seconds):
                await self._free.acquire()
                return
            await self._take_one_back()
        raise failures.busy(self.target)

    async def _take_one_back(self) -> None:
        """Take the connection that has rested longest, so that a call need not wait for a cursor nobody reads on."""
        latest = anyio.current_time() - REST
        resting = [lent for lent in self._lent if lent.resting_since is not None and lent.resting_since <= latest]
        if resting:
            lent = min(resting, key=lambda lent: lent.resting_since or 0)
            lent.is_taken, lent.resting_since = True, None
            await self._give_back(lent.connection)

    async def _begin(self, begin: str, attempts: int) -> Connection:
        """A connection in its transaction; one that the server has dropped meanwhile is replaced, silently."""
        connection = await self._connect()
        try:
            with anyio.fail_after(BEGIN_TIMEOUT):
                await connection.execute(begin)
                await self._check_role(connection)
        except BaseException as error:
            await self._drop(connection)
            if attempts == 1 or not failures.is_lost(error):
                raise
        else:
            return connection
        return await self._begin(begin, attempts - 1)

    async def _connect(self) -> Connection:
        try:
            return await self._pool.acquire()
        except (*driver.errors(), OSError, ValueError, OverflowError) as error:
            raise failures.unreachable(self.target, error) from error

    async def _give_back(self, connection: Connection) -> None:
        try:
            await self._release(connection)
        finally:
            self._free.release()

    async def _release(self, connection: Connection) -> None:
        """Give a connection back; drop it instead if that takes long, since asyncpg waits for a frozen backend."""
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(RELEASE_TIMEOUT):
                    is_open = connection.is_in_transaction()
                    await connection.execute(END if is_open else f"{END};\n{connection.get_reset_query()}")
                    await self._pool.release(connection, timeout=RELEASE_TIMEOUT)
            except (*driver.errors(), TimeoutError) as error:
                log.debug("dropping a connection to %s: %s", self.target, type(error).__name__)
                await self._drop(connection)

    async def _drop(self, connection: Connection) -> None:
        # A release that failed may have closed the connection already, which is an error to hear of here.
        with anyio.CancelScope(shield=True), suppress(*driver.errors()):
            connection.terminate()
            await self._pool.release(connection, timeout=RELEASE_TIMEOUT)

    async def _check_role(self, connection: Connection) -> None:
        if self._role_checked:
            return
        self._role_checked = True
        try:
            role = await role_of(connection)
        except BaseException:
            self._role_checked = False
            raise
        if role.danger is not None:
            log.warning(WARNING, role.name, self.target, role.danger)


@asynccontextmanager
async def _open(target: Target | str) -> AsyncGenerator[Database]:
    target = target if isinstance(target, Target) else Target(target)
    pool = await driver.create_pool(
        target.dsn,
        max_size=target.max_connections,
        timeout=target.connect_timeout,
        statement_cache_size=target.prepared_statements,
        server_settings=_session(target),
        init=_teach_types,
    )
    try:
        yield Database(target, pool)
    finally:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await pool.close()
        pool.terminate()
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()  # lets the loop close the sockets of what was terminated


def _begin(mode: Mode, seconds: float) -> str:
    return BEGIN.format(mode=mode, milliseconds=round(seconds * 1000))


def _session(target: Target) -> dict[str, str]:
    milliseconds = round(target.statement_timeout * 1000)
    return {
        "application_name": "pegboard",
        "default_transaction_read_only": "on",
        "statement_timeout": str(milliseconds),
        "lock_timeout": "2000",
        "idle_in_transaction_session_timeout": str(milliseconds + 60_000),
        **FORMATS,
    }


async def _teach_types(connection: Any) -> None:
    # asyncpg gives up on a statement with a column of this type, and pg_stats has some.
    await connection.set_type_codec("anyarray", schema="pg_catalog", encoder=str, decoder=str, format="text")


def _usage(database: Database) -> Usage:
    return database.usage


POSTGRES: PoolKind[Database] = PoolKind("postgres", _open, describe, backend=backend_of, usage=_usage)
"""PostgreSQL pools by `Target`, or by a plain DSN. Nothing is connected before the first `read()`."""
