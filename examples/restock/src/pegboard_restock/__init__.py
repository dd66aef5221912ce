"""What has to be ordered: tools of your own over the connections of pegboard-postgres."""

from pydantic import SecretStr
from typing_extensions import TypedDict

from pegboard import Call, Plugin, PluginSettings, hookimpl, tool
from pegboard_postgres import POSTGRES

LOW = """SELECT p.name, p.stock, s.name AS supplier
FROM shop.products AS p JOIN shop.suppliers AS s ON s.id = p.supplier_id
WHERE NOT p.discontinued AND p.stock < $1 ORDER BY p.stock, p.name"""


class Settings(PluginSettings):
    """Which shop."""

    dsn: SecretStr


class Product(TypedDict):
    """A product that runs out."""

    name: str
    stock: int
    supplier: str


@tool(read_only=True, idempotent=True, open_world=False)
async def low(call: Call[Settings], below: int = 10) -> list[Product]:
    """List the products of which there are fewer than so many, with their suppliers."""
    database = await call.pool(POSTGRES, call.settings.dsn.get_secret_value())
    async with database.read(timeout=call.remaining) as connection:
        return [Product(**record) for record in await connection.fetch(LOW, below)]


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="restock", tools=[low], settings=Settings)
