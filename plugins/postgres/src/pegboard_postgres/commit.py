"""Commits, and finds out what became of a COMMIT whose answer was lost."""

from contextlib import suppress

import anyio

from pegboard import ToolError
from pegboard_postgres import driver, failures
from pegboard_postgres.driver import Connection
from pegboard_postgres.pool import Database

COMMIT_TIMEOUT = 5.0
"""Seconds a COMMIT may take, even when the call is cancelled meanwhile."""
ASK_TIMEOUT = 3.0
"""Seconds to ask the server, over another connection, what became of it."""

TRANSACTION = "SELECT txid_current_if_assigned()"
STATUS = "SELECT txid_status($1)"
IN_PROGRESS = "in progress"
POLL = 0.05


class UnsureError(ToolError):
    """Nobody knows whether the change was committed."""


async def commit(database: Database, connection: Connection) -> str | None:
    """Commit, and return a notice if that was not plain sailing.

    Never cancelled half way. Raises `UnsureError` if the connection was lost and the server cannot be asked, and
    `ToolError` if the server has not committed.
    """
    with anyio.CancelScope(shield=True):
        transaction: int | None = await connection.fetchval(TRANSACTION)
        if transaction is None:
            return None
        try:
            with anyio.fail_after(COMMIT_TIMEOUT):
                await connection.execute("COMMIT")
        except (*driver.errors(), TimeoutError) as error:
            if not isinstance(error, TimeoutError) and not failures.is_lost(error):
                raise
            with suppress(*driver.errors()):  # it may have been closed already, and says so
                connection.terminate()
            return await _find_out(database, transaction, error)
    return None


async def _find_out(database: Database, transaction: int, error: Exception) -> str:
    status = await _status(database, transaction)
    if status == "aborted":
        raise failures.lost(database.target, error) from error
    if status != "committed":
        raise UnsureError(
            f"the connection to PostgreSQL at {database.target} was lost during COMMIT, so the change may or may not "
            f"have been made; look at the rows before you write again, or ask the server with "
            f"SELECT txid_status({transaction})"
        ) from error
    return "the connection was lost during COMMIT; the server says that the change was committed"


async def _status(database: Database, transaction: int) -> str | None:
    """What the server says; it may take a moment to notice that the connection is gone, and to give up."""
    status = None
    with anyio.move_on_after(ASK_TIMEOUT), suppress(ToolError):
        async with database.read(timeout=ASK_TIMEOUT) as connection:
            while (status := await connection.fetchval(STATUS, transaction)) == IN_PROGRESS:
                await anyio.sleep(POLL)
    return status
