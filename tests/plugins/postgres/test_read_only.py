"""Nothing a caller writes changes anything, even as the owner of the database."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import pytest
from tests.conftest import Database
from tests.plugins.postgres.conftest import Reader, execute

from pegboard import ToolError
from pegboard_postgres.embedded import connected

SETUP = (
    "CREATE TABLE account (id int PRIMARY KEY, balance int)",
    "INSERT INTO account SELECT n, 100 FROM generate_series(1, 10) AS n",
    "CREATE SEQUENCE ticket",
    "CREATE FUNCTION rob() RETURNS int LANGUAGE sql AS 'UPDATE account SET balance = 0 RETURNING 1'",
    """CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('transaction_read_only', 'off', true); DELETE FROM account; RETURN 1; END $$""",
)

STATE = """SELECT (SELECT sum(balance) FROM account) AS balance, (SELECT last_value FROM ticket) AS ticket,
(SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS relations,
(SELECT count(*) FROM pg_namespace) AS schemas, (SELECT count(*) FROM pg_largeobject_metadata) AS large_objects,
(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory') AS locks"""

HOSTILE = [
    "DELETE FROM account",
    "SELECT 1; DELETE FROM account",
    "COMMIT; DELETE FROM account",
    "SELECT 1 /* ; */; DELETE FROM account; --",
    "WITH gone AS (DELETE FROM account RETURNING *) SELECT * FROM gone",
    "WITH a AS (SELECT 1) UPDATE account SET balance = 0",
    "WITH a AS (SELECT 1) UPDATE account SET balance = 0 RETURNING *",
    "WITH a AS (SELECT 1) INSERT INTO account VALUES (11, 1) RETURNING *",
    "WITH a AS (SELECT 1) MERGE INTO account USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE RETURNING *",
    "EXPLAIN ANALYZE DELETE FROM account",
    "EXPLAIN (ANALYZE, VERBOSE) UPDATE account SET balance = 0",
    "EXPLAIN ANALYZE CREATE TABLE copied AS SELECT * FROM account",
    "EXPLAIN ANALYZE EXECUTE anything",
    "SELECT * INTO copied FROM account",
    "SELECT * FROM account FOR UPDATE",
    "TABLE account FOR SHARE",
    "SELECT rob()",
    "SELECT sneak()",
    "SELECT nextval('ticket')",
    "SELECT setval('ticket', 99)",
    "SELECT lo_creat(-1)",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_try_advisory_lock(2)",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('default_transaction_read_only', 'off', false)",
    "SELECT set_config('search_path', 'nowhere', false)",
    "SELECT set_config('statement_timeout', '0', false)",
    "SELECT set_config('role', 'postgres', false)",
    "SELECT query_to_xml('DELETE FROM account', true, true, '')",
    "SELECT pg_notify('channel', 'x')",
    "SET TRANSACTION READ WRITE",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    "BEGIN READ WRITE",
    "COPY account TO PROGRAM 'touch /tmp/pwned'",
    "COPY (SELECT 1) TO '/tmp/pwned'",
    "COPY account FROM STDIN",
    "DO $$ BEGIN DELETE FROM account; END $$",
    "CALL rob()",
    "LOCK TABLE account",
    "LISTEN channel",
    "NOTIFY channel",
    "PREPARE p AS DELETE FROM account",
    "EXECUTE p",
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
    "VACUUM account",
    "TRUNCATE account",
    "CREATE TEMP TABLE t (id int)",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT 1) AS _q; DELETE FROM account; --",
    "SELECT 1) AS _q(c0)) DELETE FROM account --",
    "SELECT 1 --\n) AS x; DELETE FROM account",
]


async def state(postgres: Database) -> dict[str, Any]:
    async with connected(postgres.dsn) as connection:
        return dict(await connection.fetchrow(STATE))


@pytest.fixture
async def bank(owner: Reader, postgres: Database) -> Reader:
    await execute(postgres.dsn, *SETUP)
    return owner


async def test_no_hostile_statement_leaves_a_trace(bank: Reader, postgres: Database) -> None:
    before = await state(postgres)
    session = await bank.rows("SHOW ALL")

    for sql in HOSTILE:
        with suppress(ToolError):
            await bank.query(sql)
        assert await state(postgres) == before, sql

    assert await bank.rows("SHOW ALL") == session


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("WITH x AS (DELETE FROM account RETURNING *) SELECT * FROM x", "only statements that read"),
        ("WITH x AS (SELECT 1) DELETE FROM account RETURNING *", "only statements that read"),
        ("SELECT * INTO copied FROM account", "only statements that read"),
        ("SELECT rob()", "cannot execute UPDATE in a read-only transaction"),
        ("SELECT * FROM account FOR UPDATE", "cannot execute SELECT FOR UPDATE"),
        ("EXPLAIN ANALYZE DELETE FROM account", "cannot execute DELETE in a read-only transaction"),
        ("SELECT set_config('transaction_read_only', 'off', true)", "must be set before any query"),
    ],
)
async def test_a_write_is_refused_with_the_reason(bank: Reader, sql: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        await bank.query(sql)


async def test_a_writing_transaction_cannot_be_had_from_a_lent_connection(bank: Reader) -> None:
    database = await bank.pool()
    for statement in ("SET TRANSACTION READ WRITE", "SET transaction_read_only = off", "DELETE FROM account"):
        with pytest.raises(ToolError, match=r"read-write mode must be set|read-only transaction"):
            async with database.read() as connection:
                await connection.execute(statement)


async def test_what_a_lent_connection_changes_is_rolled_back(bank: Reader) -> None:
    database = await bank.pool()
    async with database.read() as connection:
        await connection.execute("SET search_path = nowhere")

    assert await bank.value("SELECT count(*) FROM account") == 10


async def test_the_role_is_checked_once_and_a_superuser_is_warned_about(
    reader_of: Callable[..., Reader], postgres: Database, caplog: pytest.LogCaptureFixture
) -> None:
    superuser = reader_of(postgres.admin_dsn)
    for _ in range(2):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(superuser.query, "SELECT 1")

    (record,) = [record for record in caplog.records if record.name.startswith("pegboard_postgres")]
    assert record.levelname == "WARNING"
    assert "is a superuser" in record.message
    assert "connect as a role that may only read" in record.message


async def test_a_role_that_may_read_files_is_warned_about(
    owner: Reader, postgres: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await execute(postgres.admin_dsn, f"GRANT pg_read_server_files TO {postgres.name}")

    await owner.query("SELECT 1")

    assert "is a member of pg_read_server_files" in caplog.text


async def test_a_role_that_may_only_read_is_not_warned_about(reader: Reader, caplog: pytest.LogCaptureFixture) -> None:
    await reader.query("SELECT 1")

    assert not caplog.records
