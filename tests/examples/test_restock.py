"""The example of a third-party plugin that shares a published pool."""

from tests.conftest import Database

import pegboard_postgres
import pegboard_restock
from pegboard.testing import client_of, hub_of
from pegboard_postgres.embedded import connected

SHOP = """CREATE SCHEMA shop;
CREATE TABLE shop.suppliers (id int PRIMARY KEY, name text);
CREATE TABLE shop.products (name text, stock int, supplier_id int, discontinued bool);
INSERT INTO shop.suppliers VALUES (1, 'Nordwind');
INSERT INTO shop.products VALUES ('kettle', 3, 1, false), ('lamp', 50, 1, false), ('radio', 0, 1, true)"""


async def test_two_plugins_share_one_pool(postgres: Database) -> None:
    async with connected(postgres.dsn) as connection:
        await connection.execute(SHOP)
    settings = {"plugins": {name: {"dsn": postgres.dsn} for name in ("postgres", "restock")}}

    async with hub_of(pegboard_postgres, pegboard_restock, settings=settings) as hub, client_of(hub) as client:
        low = await client.call_tool("restock_low", {})
        all_of_them = await client.call_tool("postgres_query", {"sql": "SELECT count(*) FROM shop.products"})

        assert [(state.kind, state.state) for state in hub.pools.states()] == [("postgres", "open")]

    assert low.structured_content == {"result": [{"name": "kettle", "stock": 3, "supplier": "Nordwind"}]}
    assert all_of_them.structured_content is not None
    assert all_of_them.structured_content["rows"] == [[3]]
