"""Names that are made to be put together into a statement: they are quoted, and nothing of them runs."""

import pytest
from tests.conftest import Database

import pegboard_postgres
from pegboard.testing import connect
from pegboard_postgres.embedded import connected

EVIL = [
    'a"; DROP TABLE precious; --',
    "a'; DROP TABLE precious; --",
    'Über "quoted" naïve',
    "select",
    "a.b",
    "$1; SELECT pg_sleep(30)",
    "back\\slash",
]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("name", EVIL)
async def test_a_table_of_any_name_is_described_and_read_and_its_name_never_runs(name: str, postgres: Database) -> None:
    """S-15: a schema, a table and a column of this name, which somebody else has made."""
    schema, table = quoted(f"s {name}"), quoted(name)
    async with connected(postgres.dsn) as admin:
        await admin.execute("CREATE TABLE precious AS SELECT 1 AS kept")
        await admin.execute(f"CREATE SCHEMA {schema}")
        await admin.execute(f"CREATE TABLE {schema}.{table} AS SELECT 7 AS {quoted(name + ' column')}")
        async with connect(pegboard_postgres, settings={"plugins": {"postgres": {"dsn": postgres.dsn}}}) as client:
            listed = await client.call_tool("postgres_list_tables", {"schema": f"s {name}"})
            described = await client.call_tool("postgres_describe_table", {"table": f"{schema}.{table}"})
            missing = await client.call_tool("postgres_describe_table", {"table": f"{name} x"})
            searched = await client.call_tool("postgres_search_schema", {"text": name})
        assert await admin.fetchval("SELECT kept FROM precious") == 1
    assert listed.structured_content is not None
    assert [row[:2] for row in listed.structured_content["rows"]] == [[f"s {name}", name]]
    assert described.structured_content is not None
    assert described.structured_content["sample"] == [{f"{name} column": 7}]
    assert (missing.is_error, searched.is_error) == (True, False)
