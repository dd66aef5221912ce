"""A database that is away, slow, frozen or killed: a clear sentence in bounded time, and recovery by itself."""

import os
import signal
import ssl
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import fail_after
from tests.conftest import Database
from tests.plugins.postgres.conftest import MakeReader, Reader, execute

from pegboard import ToolError
from pegboard.pools import Pools
from pegboard_postgres import POSTGRES, Target, failures, pool
from pegboard_postgres.embedded import Embedded, connected

SECRET = "hunter2-s3cret"

SLEEP = "SELECT pg_sleep(30)"


@contextmanager
def within(seconds: float) -> Generator[None]:
    """Fail if the block takes longer."""
    start = time.monotonic()
    with fail_after(seconds + 5):
        yield
    assert time.monotonic() - start < seconds


@contextmanager
def tool_error(*parts: str) -> Generator[None]:
    with pytest.raises(ToolError) as error:
        yield
    message = str(error.value)
    assert all(part in message for part in parts), message
    assert SECRET not in message


@contextmanager
def frozen(pid: int) -> Generator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def sleeping(admin: Any) -> list[int]:
    """The backends in `pg_sleep`."""
    return [
        record["pid"]
        for record in await admin.fetch(
            "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'"
        )
    ]


async def until_sleeping(admin: Any, count: int = 1) -> list[int]:
    with fail_after(5):
        while len(pids := await sleeping(admin)) != count:
            await anyio.sleep(0.01)
    return pids


@asynccontextmanager
async def in_background(reader: Reader, sql: str) -> AsyncGenerator[list[BaseException]]:
    """Run a query beside the block; leaving waits for its error."""
    errors: list[BaseException] = []

    async def run() -> None:
        try:
            await reader.query(sql)
        except ToolError as error:
            errors.append(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        yield errors


@pytest.mark.parametrize(
    ("dsn", "parts"),
    [
        (f"postgresql://bob:{SECRET}@127.0.0.1:1/shop", ["127.0.0.1:1/shop", "nothing listens there"]),
        (f"postgresql://bob:{SECRET}@localhost:1/shop?ssl=disable", ["localhost:1/shop cannot be used"]),
        (f"postgresql://bob:{SECRET}@nowhere.invalid/shop", ["nowhere.invalid/shop", "the host name is unknown"]),
        (f"postgresql://bob:{SECRET}@/shop?host=/tmp/no-such-folder", ["No such file or directory"]),
        (f"postgresql://bob:{SECRET}@127.0.0.1:port/shop", ["the dsn cannot be used"]),
        (f"postgresql://bob:{SECRET}@127.0.0.1:99999/shop", ["cannot be used"]),
        (f"postgresql://bob:{SECRET}@127.0.0.1/shop?sslmode=maybe", ["the dsn cannot be used"]),
    ],
)
async def test_an_absent_database_is_told_within_a_second(reader_of: MakeReader, dsn: str, parts: list[str]) -> None:
    with within(1), tool_error(*parts):
        await reader_of(dsn).query("SELECT 1")


async def test_a_bad_certificate_is_told() -> None:
    certificate = ssl.SSLError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")

    with tool_error("TLS failed"):
        raise failures.unreachable(Target(f"postgresql://bob:{SECRET}@db/shop"), certificate)


async def test_wrong_credentials_and_databases_are_told_apart(
    reader_of: MakeReader, postgres_server: Embedded, postgres: Database
) -> None:
    url = postgres_server.url

    with within(1), tool_error("refuses the user or the password"):
        await reader_of(url(postgres.name, SECRET, database=postgres.name)).query("SELECT 1")
    with within(1), tool_error("refuses the user or the password"):
        await reader_of(url("nobody", SECRET, database=postgres.name)).query("SELECT 1")
    with within(1), tool_error("no database of this name", "/missing"):
        await reader_of(url(postgres.name, postgres.name, database="missing")).query("SELECT 1")
    await execute(postgres.admin_dsn, f"REVOKE CONNECT ON DATABASE {postgres.name} FROM PUBLIC")
    with within(1), tool_error("may not connect to this database"):
        await reader_of(postgres.reader_dsn).query("SELECT 1")


async def test_a_server_that_speaks_something_else_is_told(reader_of: MakeReader, tmp_path: Path) -> None:
    async def slam(stream: anyio.abc.SocketStream) -> None:
        await stream.aclose()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, slam)
        with within(1), tool_error("cannot be used"):
            await reader_of(f"postgresql://bob:{SECRET}@127.0.0.1:{port}/shop").query("SELECT 1")
        tasks.cancel_scope.cancel()


async def test_a_server_that_never_answers_is_given_up(reader_of: MakeReader) -> None:
    async def ignore(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await anyio.sleep_forever()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, ignore)
        reader = reader_of(f"postgresql://bob:{SECRET}@127.0.0.1:{port}/shop", connect_timeout=0.3)
        with within(1), tool_error("no answer within 0.3 s"):
            await reader.query("SELECT 1")
        tasks.cancel_scope.cancel()


async def test_a_server_with_no_connection_left_is_told(
    reader_of: MakeReader, owner: Reader, postgres: Database
) -> None:
    await execute(postgres.admin_dsn, f"ALTER ROLE {postgres.name} CONNECTION LIMIT 1")
    async with connected(postgres.dsn):
        with within(1), tool_error("no connection left"):
            await owner.query("SELECT 1")
    assert await owner.value("SELECT 1") == 1


async def test_a_killed_server_is_told_at_once_and_used_again_when_it_is_back(
    reader_of: MakeReader, private_postgres: Embedded
) -> None:
    reader = reader_of(private_postgres.dsn)
    async with connected(private_postgres.admin_dsn) as admin:
        async with in_background(reader, SLEEP) as errors:
            await until_sleeping(admin)
            await private_postgres.kill()
            with within(1):
                while not errors:
                    await anyio.sleep(0.01)
    with within(1), tool_error("cannot be used"):
        await reader.query("SELECT 1")

    await private_postgres.start()

    # A read whose connection broke is asked once more, so that the caller hears what is true now.
    assert "PostgreSQL at postgresql:///pegboard cannot be used: nothing listens there" in str(errors[0])
    assert await reader.value("SELECT 1") == 1


async def test_a_restart_between_two_calls_is_not_noticed(reader_of: MakeReader, private_postgres: Embedded) -> None:
    reader = reader_of(private_postgres.dsn)
    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(reader.value, "SELECT pg_sleep(0.2)")

    await private_postgres.restart()

    for _ in range(5):
        assert await reader.value("SELECT 1") == 1


async def test_a_connection_the_administrator_ends_is_told(reader: Reader, postgres_server: Embedded) -> None:
    async with connected(postgres_server.admin_dsn) as admin:
        async with in_background(reader, SLEEP) as errors:
            (pid,) = await until_sleeping(admin)
            await admin.execute(f"SELECT pg_terminate_backend({pid})")
    assert "was lost; try again" in str(errors[0])
    assert await reader.value("SELECT 1") == 1


async def test_a_query_the_administrator_cancels_is_told_as_that(reader: Reader, postgres_server: Embedded) -> None:
    async with connected(postgres_server.admin_dsn) as admin:
        async with in_background(reader, SLEEP) as errors:
            (pid,) = await until_sleeping(admin)
            await admin.execute(f"SELECT pg_cancel_backend({pid})")
    assert "canceling statement due to user request (57014)" in str(errors[0])


async def test_a_cancelled_call_ends_its_query_on_the_server(reader: Reader, postgres_server: Embedded) -> None:
    async with connected(postgres_server.admin_dsn) as admin:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.query, SLEEP)
            await until_sleeping(admin)
            with within(1):
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    while await sleeping(admin):
                        await anyio.sleep(0.01)
    assert await reader.value("SELECT 1") == 1


async def test_a_slow_query_ends_before_the_call_does_and_says_why(reader: Reader, postgres_server: Embedded) -> None:
    with within(1), tool_error("cancelled after", "timeout"):
        await reader.query(SLEEP, seconds=1)
    async with connected(postgres_server.admin_dsn) as admin:
        assert await sleeping(admin) == []


async def test_a_slow_query_ends_at_the_plugins_own_timeout(reader_of: MakeReader, postgres_server: Embedded) -> None:
    allowed = ("pg_catalog.pg_sleep", "pg_catalog.set_config")
    reader = reader_of(postgres_server.dsn, statement_timeout=0.3, allow_functions=allowed)

    with within(1), tool_error("cancelled after 0.3 s"):
        await reader.query(SLEEP)
    # Switching the server's timeout off from within does not help: the client has one too.
    with within(2), tool_error("cancelled after 0.3 s"):
        await reader.query("SELECT set_config('statement_timeout', '0', true), pg_sleep(30)")


async def test_many_statements_of_one_block_share_its_time(reader: Reader) -> None:
    database = await reader.pool()
    with within(1.5), tool_error("cancelled after 0.3 s"):
        async with database.read(timeout=0.3) as connection:
            while True:
                await connection.fetchval("SELECT pg_sleep(0.1)")


async def test_waiting_for_a_lock_is_given_up(reader_of: MakeReader, postgres: Database) -> None:
    await execute(postgres.dsn, "CREATE TABLE t (id int)")
    async with connected(postgres.dsn) as other, other.transaction():
        await other.execute("LOCK TABLE t")
        with within(3), tool_error("lock timeout", "somebody else holds the lock"):
            await reader_of(postgres.dsn).query("SELECT * FROM t")


async def test_a_timeout_counts_before_the_query_runs_too(reader_of: MakeReader, postgres: Database) -> None:
    await execute(postgres.dsn, "CREATE TABLE t (id int)")
    async with connected(postgres.dsn) as other, other.transaction():
        await other.execute("LOCK TABLE t")
        with within(1), tool_error("cancelled after 0.2 s"):
            await reader_of(postgres.dsn, statement_timeout=0.2).query("SELECT * FROM t")


async def test_busy_connections_are_told_within_two_seconds(reader_of: MakeReader, postgres_server: Embedded) -> None:
    """F-05."""
    reader = reader_of(postgres_server.dsn, max_connections=1)
    async with connected(postgres_server.admin_dsn) as admin:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.query, SLEEP)
            await until_sleeping(admin)
            with within(2.5), tool_error("all 1 connections", "are busy", "max_connections"):
                await reader.query("SELECT 1")
            tasks.cancel_scope.cancel()
    assert await reader.value("SELECT 1") == 1


async def test_too_many_waiting_calls_are_told_at_once(
    reader_of: MakeReader, postgres_server: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-05: the queue has an end."""
    monkeypatch.setattr(pool, "MAX_WAITING", 1)
    reader = reader_of(postgres_server.dsn, max_connections=1)
    async with connected(postgres_server.admin_dsn) as admin:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader.query, SLEEP)
            await until_sleeping(admin)
            tasks.start_soon(reader.query, "SELECT 1")
            await anyio.wait_all_tasks_blocked()
            with within(0.5), tool_error("are busy"):
                await reader.query("SELECT 1")
            tasks.cancel_scope.cancel()


async def test_more_calls_than_connections_take_turns(reader_of: MakeReader, postgres_server: Embedded) -> None:
    """F-05: nobody is forgotten."""
    reader = reader_of(postgres_server.dsn, {"server": {"max_calls_per_session": 50}}, max_connections=2)
    answers: list[int] = []

    async def ask(number: int) -> None:
        answers.append(await reader.value("SELECT $1::int", number))

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(ask, number)

    assert sorted(answers) == list(range(50))
    pids = await reader.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pegboard'")
    assert pids <= 2


async def test_calls_cancelled_at_any_moment_leave_no_connection_behind(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    reader = reader_of(postgres_server.dsn, max_connections=2)
    for step in range(60):
        with anyio.move_on_after(step / 5000):
            await reader.query("SELECT pg_sleep(0.005)")

    with within(2):
        for _ in range(10):
            assert await reader.value("SELECT 1") == 1


async def test_a_frozen_idle_connection_is_replaced(reader_of: MakeReader, postgres_server: Embedded) -> None:
    """F-04."""
    reader = reader_of(postgres_server.dsn, max_connections=2)
    pid = await reader.value("SELECT pg_backend_pid()")

    with frozen(pid), within(4):
        assert await reader.value("SELECT pg_backend_pid()") != pid


async def test_a_frozen_server_is_given_up_and_used_again_when_it_thaws(
    reader_of: MakeReader, private_postgres: Embedded
) -> None:
    reader = reader_of(private_postgres.dsn, connect_timeout=0.5)
    pid = await reader.value("SELECT pg_backend_pid()")

    with frozen(private_postgres.pid), frozen(pid), within(1.5), tool_error("no answer within 0.5 s"):
        await reader.query("SELECT 1")

    assert await reader.value("SELECT 1") == 1


async def test_a_connection_frozen_in_a_query_is_given_up(reader_of: MakeReader, postgres_server: Embedded) -> None:
    reader = reader_of(postgres_server.dsn, statement_timeout=1)
    async with connected(postgres_server.admin_dsn) as admin:
        with within(4):
            async with in_background(reader, SLEEP) as errors:
                (pid,) = await until_sleeping(admin)
                with frozen(pid):
                    while not errors:
                        await anyio.sleep(0.01)
                    assert await reader.value("SELECT 1") == 1
    assert "cancelled after 1 s" in str(errors[0])


async def test_a_connection_that_freezes_when_it_is_given_back_is_let_go(postgres_server: Embedded) -> None:
    """F-04: its transaction cannot be ended any more, and neither its borrower nor the next one waits for that."""
    async with Pools() as pools:
        database = await pools.get(POSTGRES, Target(postgres_server.dsn, max_connections=1))
        with fail_after(10):
            async with database.read() as connection:
                pid = await connection.fetchval("SELECT pg_backend_pid()")
                os.kill(pid, signal.SIGSTOP)
                start = time.monotonic()
            assert time.monotonic() - start < 1.5
            async with database.read() as connection:
                assert await connection.fetchval("SELECT pg_backend_pid()") != pid
        os.kill(pid, signal.SIGCONT)


async def test_a_pool_closes_in_time_when_its_connections_are_frozen(postgres_server: Embedded) -> None:
    with fail_after(10):
        async with Pools() as pools:
            database = await pools.get(POSTGRES, Target(postgres_server.dsn))
            async with database.read() as connection:
                pid = await connection.fetchval("SELECT pg_backend_pid()")
            os.kill(pid, signal.SIGSTOP)
            start = time.monotonic()
        os.kill(pid, signal.SIGCONT)
        assert time.monotonic() - start < 2.5


async def test_a_closed_pool_leaves_no_connection_on_the_server(postgres_server: Embedded) -> None:
    target = Target(postgres_server.dsn)
    async with Pools() as pools:
        database = await pools.get(POSTGRES, target)
        async with database.read() as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")

    async with connected(postgres_server.admin_dsn) as admin:
        with fail_after(2):
            while await admin.fetchval("SELECT true FROM pg_stat_activity WHERE pid = $1", pid):
                await anyio.sleep(0.01)


async def test_an_error_of_the_borrower_passes_and_the_connection_stays_usable(reader: Reader) -> None:
    database = await reader.pool()
    for error in (KeyError("mine"), TimeoutError("mine"), FileNotFoundError("mine")):
        with pytest.raises(type(error), match="mine"):
            async with database.read():
                raise error
    assert await reader.value("SELECT 1") == 1


@pytest.mark.parametrize(
    ("sql", "parts"),
    [
        ("SELECT\n  1 +\n  nope", ['column "nope" does not exist', "42703, line 3, column 3", "describe_table"]),
        ("SELECT * FROM nowhere", ["42P01, line 1, column 15", "postgres_list_tables"]),
        ("SELECT 'é', 1 FROM", ["syntax error at end of input", "line 1, column 19"]),
        ("SELECT 1/0", ["division by zero", "22012"]),
        ("SELECT upper(1)", ["function upper(integer) does not exist", "hint:"]),
        ("SELECT 'abc", ["unterminated quoted string"]),
        ("SELECT * FROM pg_statistic", ["permission denied", "42501", "lists what may be read"]),
        ("SELECT", ["returns no columns"]),
    ],
)
async def test_an_error_in_the_sql_says_what_and_where(reader: Reader, sql: str, parts: list[str]) -> None:
    with tool_error(*parts):
        await reader.query(sql)
