"""A query that is read on by later calls: what happens to its connection, whatever happens in between."""

from typing import Any

import anyio
from anyio import fail_after
from tests.plugins.postgres.conftest import MakeReader, Reader
from tests.plugins.postgres.test_failures import frozen, tool_error, within

import pegboard_postgres
from pegboard import ToolError
from pegboard.testing.connect import client_of, hub_of
from pegboard_postgres.embedded import Embedded, connected

MANY = "SELECT pg_backend_pid() AS pid, n, repeat('x', 500) FROM generate_series(1, 100000) AS n"
"""Too many rows to be read ahead, so that its connection is held."""

HELD = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND pid = $1"


async def held(admin: Any, pid: int) -> bool:
    return bool(await admin.fetchval(HELD, pid))


async def until_free(admin: Any, pid: int, seconds: float = 2) -> None:
    with fail_after(seconds):
        while await held(admin, pid):
            await anyio.sleep(0.01)


async def read_on(reader: Reader, answer: dict[str, Any]) -> tuple[int, str]:
    """Read until there is an error; the last number that came before, and the error."""
    while True:
        last = answer["rows"][-1][1]
        try:
            answer = await reader.more(answer)
        except ToolError as error:
            return last, str(error)


async def test_a_query_holds_its_connection_only_as_long_as_there_are_more_rows(
    reader: Reader, postgres_server: Embedded
) -> None:
    async with connected(postgres_server.admin_dsn) as admin:
        many = await reader.query(MANY, limit=10)
        assert await held(admin, many["rows"][0][0])

        few = await reader.query(f"SELECT * FROM ({MANY}) AS many LIMIT 50", limit=10)
        await until_free(admin, few["rows"][0][0])

        assert len((await reader.all_rows(few))[0]) == 50


async def test_a_backend_that_is_killed_between_two_pages_is_told(reader: Reader, postgres_server: Embedded) -> None:
    first = await reader.query(MANY)
    async with connected(postgres_server.admin_dsn) as admin:
        await admin.execute(f"SELECT pg_terminate_backend({first['rows'][0][0]})")

    last, message = await read_on(reader, first)

    assert last >= 100
    assert "was lost; try again" in message
    assert await reader.value("SELECT 1") == 1


async def test_a_server_that_is_killed_between_two_pages_is_told(
    reader_of: MakeReader, private_postgres: Embedded
) -> None:
    reader = reader_of(private_postgres.dsn)
    first = await reader.query(MANY)
    await private_postgres.kill()

    with within(2):
        _, message = await read_on(reader, first)
    assert "was lost" in message

    await private_postgres.start()
    assert await reader.value("SELECT 1") == 1


async def test_a_backend_that_is_frozen_between_two_pages_is_given_up(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    reader = reader_of(postgres_server.dsn, statement_timeout=0.5)
    first = await reader.query(MANY)
    with frozen(first["rows"][0][0]):
        with within(4):
            _, message = await read_on(reader, first)
        assert await reader.value("SELECT 1") == 1
    assert "cancelled after 0.5 s" in message


async def test_an_error_in_a_later_row_comes_after_the_rows_before_it(reader: Reader) -> None:
    first = await reader.query("SELECT 1, n, 1 / (5000 - n), repeat('x', 300) FROM generate_series(1, 10000) AS n")

    last, message = await read_on(reader, first)

    assert "division by zero" in message
    assert last < 5000


async def test_a_client_that_leaves_frees_its_cursor_and_connection(postgres_server: Embedded) -> None:
    hub = hub_of(pegboard_postgres, settings={"plugins": {"postgres": {"dsn": postgres_server.dsn}}})
    async with hub, connected(postgres_server.admin_dsn) as admin:
        async with client_of(hub) as client:
            answer: Any = (await client.call_tool("postgres_query", {"sql": MANY})).structured_content
            pid = answer["rows"][0][0]
            assert await held(admin, pid)
        await until_free(admin, pid)


async def test_a_cursor_nobody_goes_on_with_is_closed_after_a_while(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    reader = reader_of(postgres_server.dsn, {"results": {"idle": 0.1}})
    first = await reader.query(MANY)
    async with connected(postgres_server.admin_dsn) as admin:
        await until_free(admin, first["rows"][0][0])

    with tool_error("nobody went on"):
        raise ToolError((await read_on(reader, first))[1])


async def test_a_call_that_needs_a_connection_gets_that_of_a_resting_cursor(
    reader_of: MakeReader, postgres_server: Embedded
) -> None:
    reader = reader_of(postgres_server.dsn, max_connections=1)
    first = await reader.query(MANY)

    with within(1.5):
        assert await reader.value("SELECT 1") == 1

    last, message = await read_on(reader, first)
    assert last >= 100
    assert "the cursor is closed: all 1 connections" in message
    assert await reader.value("SELECT 2") == 2


async def test_cursors_are_read_side_by_side(reader_of: MakeReader, postgres_server: Embedded) -> None:
    reader = reader_of(postgres_server.dsn, {"results": {"tokens": 100_000}}, max_connections=3)
    sql = "SELECT n * $1::int, repeat('x', 100) FROM generate_series(1, 5000) AS n"
    found: dict[int, list[int]] = {}

    async def read(factor: int) -> None:
        rows, _ = await reader.all_rows(await reader.query(sql, factor, limit=1000))
        found[factor] = [row[0] for row in rows]

    with fail_after(30):
        async with anyio.create_task_group() as tasks:
            for factor in (1, 2, 3):
                tasks.start_soon(read, factor)

    assert found == {factor: [n * factor for n in range(1, 5001)] for factor in (1, 2, 3)}
