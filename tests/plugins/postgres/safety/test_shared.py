"""Another plugin that shares the pool gets the same layers in three lines."""

from typing import Any

from tests.conftest import Database

from pegboard import Call, Plugin, PluginSettings, tool
from pegboard.testing import connect
from pegboard_postgres import POSTGRES
from pegboard_postgres.safety import check, check_functions


class Settings(PluginSettings):
    """Of the other plugin."""

    dsn: str


@tool(read_only=True)
async def first(sql: str, call: Call[Settings]) -> str:
    """Show the first value of a query."""
    database = await call.pool(POSTGRES, call.settings.dsn)
    statement = check(sql)
    async with database.read(timeout=call.remaining) as connection:
        await check_functions(connection, statement, cache=database.functions)
        return str(await connection.fetchval(statement.text))


async def test_a_plugin_that_shares_the_pool_refuses_the_same(postgres: Database) -> None:
    plugin = Plugin(name="shop", tools=[first], settings=Settings)
    async with connect(plugin, settings={"plugins": {"shop": {"dsn": postgres.dsn}}}) as client:

        async def ask(sql: str) -> tuple[bool, Any]:
            result = await client.call_tool("shop_first", {"sql": sql})
            return bool(result.is_error), result.content[0]

        good = await ask("SELECT 6 * 7;")
        written = await ask("DROP TABLE account")
        reached = await ask("SELECT pg_read_file('/etc/passwd')")

    assert (good[0], good[1].text) == (False, "42")
    assert written[0]
    assert "only statements that read" in written[1].text
    assert reached[0]
    assert "reaches files of the database server" in reached[1].text
