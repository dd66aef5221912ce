"""One pool per database: connections lent for a read-only transaction, with a bound on every wait."""

import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel

from pegboard import PoolKind
from pegboard_postgres import driver, failures, tracing
from pegboard_postgres.driver import Connection, Pool
from pegboard_postgres.target import Target, describe

log = logging.getLogger(__name__)

BUSY_TIMEOUT = 2.0
"""How long a call waits for a connection that somebody else holds."""
MAX_WAITING = 500
"""How many calls may wait at once; one more is told right away that the pool is busy."""
BEGIN_TIMEOUT = 2.0
"""How long a connection may take to begin; one that takes longer is frozen, and another is tried."""
RELEASE_TIMEOUT = 1.0
CLOSE_TIMEOUT = 1.0
GRACE = 0.5
"""How much longer than the server the client waits, so that the server's own message comes first."""
MIN_SECONDS = 0.05

# The SELECT takes the snapshot after which SET TRANSACTION READ WRITE is an error; the settings make values
# look the same whatever the role or the database prefers.
BEGIN = """BEGIN TRANSACTION READ ONLY; SELECT 1; SET LOCAL statement_timeout = {milliseconds};
SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1; SET LOCAL standard_conforming_strings = on"""

DANGEROUS_ROLES = ("pg_read_server_files", "pg_write_server_files", "pg_execute_server_program")
ROLE = """SELECT rolname, rolsuper, ARRAY(
    SELECT rolname::text FROM pg_roles WHERE rolname = ANY($1::text[]) AND pg_has_role(oid, 'MEMBER') ORDER BY 1
) AS memberships FROM pg_roles WHERE rolname = current_user"""


class Database:
    """The connections to one PostgreSQL database, lent for reading only. Safe to share between calls."""

    def __init__(self, target: Target, pool: Pool) -> None:
        self.target = target
        self.cursor_key = secrets.token_bytes(32)
        """Signs the cursors of paged answers; a new pool does not accept those of an old one."""
        self._pool = pool
        self._free = anyio.Semaphore(target.max_connections)
        self._role_checked = False

    @asynccontextmanager
    async def read(self, *, timeout: float | None = None) -> AsyncGenerator[Connection]:
        """Lend a connection in a READ ONLY transaction that is always rolled back.

        `timeout` is what is left of the call's time; a statement ends at it or at the target's statement timeout,
        whichever is first, and so does the block. Raises `ToolError` when the database cannot be reached, when all
        connections stay busy for 2 seconds, and for whatever the driver raises inside. Cancelling the block cancels
        the statement on the server.
        """
        most = self.target.statement_timeout
        seconds = most if timeout is None else max(MIN_SECONDS, min(most, timeout))
        with failures.explained(self.target):
            connection = await self._acquire(seconds)
            end = anyio.current_time() + seconds
            try:
                with anyio.CancelScope(deadline=end + GRACE) as scope:
                    yield connection
            except driver.errors() as error:
                if failures.is_cancellation(error) and anyio.current_time() > end - MIN_SECONDS:
                    raise failures.timed_out(seconds) from error
                raise
            finally:
                try:
                    await self._release(connection)
                finally:
                    self._free.release()
        if scope.cancelled_caught:
            raise failures.timed_out(seconds)

    def span(self, operation: str) -> AbstractContextManager[None]:
        """Trace one operation on this database, named like `SELECT shop`."""
        return tracing.span(f"{operation} {self.target.database}".rstrip(), self.target, operation)

    async def _acquire(self, seconds: float) -> Connection:
        with tracing.span("postgres acquire", self.target):
            await self._wait_for_a_place()
            try:
                # After a restart every pooled connection may be stale; the last attempt is certainly a new one.
                with anyio.fail_after(self.target.connect_timeout):
                    return await self._begin(seconds, attempts=self.target.max_connections + 1)
            except BaseException as error:
                self._free.release()
                if isinstance(error, TimeoutError):
                    raise failures.unreachable(self.target, error) from error
                raise

    async def _wait_for_a_place(self) -> None:
        if self._free.statistics().tasks_waiting >= MAX_WAITING:
            raise failures.busy(self.target)
        with anyio.move_on_after(BUSY_TIMEOUT) as scope:
            await self._free.acquire()
        if scope.cancelled_caught:
            raise failures.busy(self.target)

    async def _begin(self, seconds: float, attempts: int) -> Connection:
        """A connection in its transaction; one that the server has dropped meanwhile is replaced, silently."""
        connection = await self._connect()
        try:
            with anyio.fail_after(BEGIN_TIMEOUT):
                await connection.execute(BEGIN.format(milliseconds=round(seconds * 1000)))
                await self._check_role(connection)
        except BaseException as error:
            await self._drop(connection)
            if attempts == 1 or not failures.is_lost(error):
                raise
        else:
            return connection
        return await self._begin(seconds, attempts - 1)

    async def _connect(self) -> Connection:
        try:
            return await self._pool.acquire()
        except (*driver.errors(), OSError, ValueError, OverflowError) as error:
            raise failures.unreachable(self.target, error) from error

    async def _release(self, connection: Connection) -> None:
        """Give a connection back; drop it instead if that takes long, since asyncpg waits for a frozen backend."""
        with anyio.CancelScope(shield=True):
            try:
                with anyio.fail_after(RELEASE_TIMEOUT):
                    await connection.execute("ROLLBACK")
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
            role = await connection.fetchrow(ROLE, list(DANGEROUS_ROLES))
        except BaseException:
            self._role_checked = False
            raise
        if role is None or not (role["rolsuper"] or role["memberships"]):
            return
        what = "is a superuser" if role["rolsuper"] else f"is a member of {', '.join(role['memberships'])}"
        log.warning(
            "the role %s of %s %s: a query can read files or run programs on the database server, which no read-only "
            "transaction prevents; connect as a role that may only read (README of pegboard-postgres, 'A role that "
            "may only read')",
            role["rolname"],
            self.target,
            what,
        )


@asynccontextmanager
async def _open(target: Target | str) -> AsyncGenerator[Database]:
    target = target if isinstance(target, Target) else Target(target)
    pool = await driver.create_pool(
        target.dsn,
        max_size=target.max_connections,
        timeout=target.connect_timeout,
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


def _session(target: Target) -> dict[str, str]:
    milliseconds = round(target.statement_timeout * 1000)
    return {
        "application_name": "pegboard",
        "default_transaction_read_only": "on",
        "statement_timeout": str(milliseconds),
        "lock_timeout": "2000",
        "idle_in_transaction_session_timeout": str(milliseconds + 60_000),
    }


async def _teach_types(connection: Any) -> None:
    # asyncpg gives up on a statement with a column of this type, and pg_stats has some.
    await connection.set_type_codec("anyarray", schema="pg_catalog", encoder=str, decoder=str, format="text")


POSTGRES: PoolKind[Database] = PoolKind("postgres", _open, describe)
"""PostgreSQL pools by `Target`, or by a plain DSN. Nothing is connected before the first `read()`."""
