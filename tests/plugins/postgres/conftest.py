"""The tools of the plugin as a test calls them, on a real PostgreSQL."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio
import pytest
from pydantic import SecretStr
from tests.conftest import Database

from pegboard import Call
from pegboard.pools import Pools
from pegboard_postgres import POSTGRES, Settings, tools
from pegboard_postgres import Database as Pool
from pegboard_postgres.embedded import Embedded, connected
from pegboard_postgres.schema import TableDetails
from pegboard_postgres.tools import QueryResult, TableList


class Reader:
    """Calls the tools on one database, as the hub would."""

    def __init__(self, pools: Pools, dsn: str, **settings: Any) -> None:
        self.pools = pools
        self.settings = Settings(dsn=SecretStr(dsn), **settings)

    def call(self, seconds: float = 20) -> Call[Settings]:
        return Call(
            settings=self.settings,
            plugin="postgres",
            tool="postgres_query",
            endpoint="/postgres",
            timeout=seconds,
            deadline=anyio.current_time() + seconds,
            pools=self.pools,
        )

    async def query(self, sql: str, *params: Any, seconds: float = 20, **arguments: Any) -> QueryResult:
        return await tools.query(self.call(seconds), sql, list(params) or None, **arguments)

    async def rows(self, sql: str, *params: Any) -> list[list[Any]]:
        return (await self.query(sql, *params))["rows"]

    async def value(self, sql: str, *params: Any) -> Any:
        ((value,),) = await self.rows(sql, *params)
        return value

    async def tables(self, **arguments: Any) -> TableList:
        return await tools.list_tables(self.call(), **arguments)

    async def table(self, name: str) -> TableDetails:
        return await tools.describe_table(self.call(), name)

    async def pool(self) -> Pool:
        return await self.pools.get(POSTGRES, self.settings.target)


@pytest.fixture
async def pools() -> AsyncGenerator[Pools]:
    async with Pools() as pools:
        yield pools


@pytest.fixture
def reader_of(pools: Pools) -> Callable[..., Reader]:
    """Make a reader of any DSN, with any settings."""

    def reader(dsn: str, **settings: Any) -> Reader:
        return Reader(pools, dsn, **settings)

    return reader


@pytest.fixture
async def reader(reader_of: Callable[..., Reader], postgres_server: Embedded) -> Reader:
    """A reader of the session's server, as a role that may nothing but connect."""
    return reader_of(postgres_server.dsn)


@pytest.fixture
async def owner(reader_of: Callable[..., Reader], postgres: Database) -> Reader:
    """A reader of a database of this test, as the role that owns it and could write anything."""
    return reader_of(postgres.dsn)


async def execute(dsn: str, *statements: str) -> None:
    async with connected(dsn) as connection:
        for statement in statements:
            await connection.execute(statement)
