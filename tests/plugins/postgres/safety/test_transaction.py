"""What stands behind the gates: the transaction in which everything is read, and the role that reads."""

from collections.abc import Callable

import anyio
import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import Reader, execute

from pegboard import ToolError


async def test_a_writing_transaction_cannot_be_had_from_a_lent_connection(owner: Reader) -> None:
    """S-14."""
    database = await owner.pool()
    for statement in ("SET TRANSACTION READ WRITE", "SET transaction_read_only = off", "CREATE TABLE mine (id int)"):
        with pytest.raises(ToolError, match=r"read-write mode must be set|read-only transaction"):
            async with database.read() as connection:
                await connection.execute(statement)


async def test_one_statement_is_all_the_protocol_takes(owner: Reader) -> None:
    """S-14."""
    database = await owner.pool()
    with pytest.raises(ToolError, match="cannot insert multiple commands"):
        async with database.read() as connection:
            await connection.fetch("SELECT 1; SELECT 2")


async def test_what_a_lent_connection_changes_is_rolled_back(owner: Reader) -> None:
    database = await owner.pool()
    async with database.read() as connection:
        await connection.execute("SET search_path = nowhere")
        await connection.execute("SET SESSION application_name = 'changed'")
        await connection.execute("SELECT pg_advisory_lock(1)")

    async with database.read() as connection:
        found = await connection.fetchrow(
            "SELECT current_setting('search_path'), current_setting('application_name'), "
            "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')"
        )
    assert tuple(found) == ('"$user", public', "pegboard", 0)


async def test_every_wait_has_an_end(owner: Reader) -> None:
    database = await owner.pool()
    async with database.read(timeout=7) as connection:
        found = await connection.fetchrow(
            "SELECT current_setting('statement_timeout'), current_setting('lock_timeout'), "
            "current_setting('idle_in_transaction_session_timeout'), current_setting('transaction_read_only')"
        )

    statement, lock, idle, read_only = tuple(found)
    assert statement.removesuffix("ms") in ("7s", "7000")
    assert (lock, read_only) == ("2s", "on")
    assert idle != "0"


async def test_the_role_is_checked_once_and_a_superuser_is_warned_about(
    reader_of: Callable[..., Reader], postgres: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """S-14: a role that may do more than read is told about, since it was the operator who chose it."""
    database = await reader_of(postgres.admin_dsn).pool()

    async def read() -> None:
        async with database.read():
            pass

    for _ in range(2):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(read)

    (record,) = [record for record in caplog.records if record.name.startswith("pegboard_postgres")]
    assert record.levelname == "WARNING"
    assert "is a superuser" in record.message
    assert "connect as a role that may only read" in record.message


async def test_a_role_that_may_read_files_is_warned_about(
    owner: Reader, postgres: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await execute(postgres.admin_dsn, f"GRANT pg_read_server_files TO {postgres.name}")

    async with (await owner.pool()).read():
        assert "is a member of pg_read_server_files" in caplog.text


async def test_a_role_that_may_only_read_is_not_warned_about(reader: Reader, caplog: pytest.LogCaptureFixture) -> None:
    async with (await reader.pool()).read():
        assert not caplog.records
