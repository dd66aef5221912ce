"""An expensive query is refused before it is run, if the operator says what is expensive."""

from typing import Any

import pytest
from mcp import Client
from tests.conftest import Database

import pegboard_postgres
from pegboard.testing import connect


async def answer(client: Client, sql: str, *params: Any) -> tuple[bool, str]:
    result = await client.call_tool("postgres_query", {"sql": sql, "params": list(params)})
    return bool(result.is_error), "".join(getattr(block, "text", "") for block in result.content)


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT * FROM generate_series(1, 10000000) AS n", []),
        ("SELECT * FROM generate_series(1, $1::int) AS n ORDER BY n", [10_000_000]),
        ("EXPLAIN (ANALYZE) SELECT * FROM generate_series(1, $1::int) AS n", [10_000_000]),
    ],
)
async def test_a_query_that_costs_too_much_is_refused_with_the_numbers(
    postgres: Database, sql: str, params: list[Any]
) -> None:
    settings = {"plugins": {"postgres": {"dsn": postgres.dsn, "max_cost": 1000}}}
    async with connect(pegboard_postgres, settings=settings) as client:
        is_error, text = await answer(client, sql, *params)

    assert is_error
    assert "rows; the operator allows a cost of 1,000 (max_cost)" in text
    assert "10,000,000 rows" in text


async def test_what_costs_little_or_is_not_run_passes(postgres: Database) -> None:
    settings = {"plugins": {"postgres": {"dsn": postgres.dsn, "max_cost": 1000}}}
    async with connect(pegboard_postgres, settings=settings) as client:
        answers = [
            await answer(client, "SELECT $1::int", 1),
            await answer(client, "EXPLAIN SELECT * FROM generate_series(1, 10000000) AS n"),
            await answer(client, "SHOW work_mem"),
        ]

    assert [is_error for is_error, _ in answers] == [False, False, False]
