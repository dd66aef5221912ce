"""The plugin as a client of the hub uses it, on a real PostgreSQL."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import pytest
from anyio.abc import TaskGroup, TaskStatus
from mcp import Client
from tests.conftest import Database

import pegboard_postgres
from pegboard import ToolError
from pegboard.hub import Hub
from pegboard.testing.connect import client_of, hub_of
from pegboard_postgres import POSTGRES, Settings
from pegboard_postgres import Database as Pool
from pegboard_postgres.embedded import Embedded, connected

Answer = dict[str, Any]

WAITING = ("pg_catalog.pg_sleep",)
"""VOLATILE, and many tests have something wait."""


class Reader:
    """Calls the tools on one database, through a client of a hub."""

    def __init__(self, tasks: TaskGroup, hub: dict[str, Any], dsn: str, **settings: Any) -> None:
        self._tasks = tasks
        self._client: Client | None = None
        self._connecting = anyio.Lock()
        given = {"dsn": dsn, "allow_functions": WAITING, **settings}
        self.settings = Settings.model_validate(given)
        self.hub: Hub = hub_of(pegboard_postgres, settings={"plugins": {"postgres": given}, **hub})

    async def client(self) -> Client:
        """The client, connected with the first call in a task of its own, so that a call can be cancelled."""
        async with self._connecting:
            if self._client is None:
                self._client = cast(Client, await self._tasks.start(self._run))
        return self._client

    async def _run(self, *, task_status: TaskStatus[Client]) -> None:
        async with self.hub, client_of(self.hub) as client:
            task_status.started(client)
            await anyio.sleep_forever()

    async def call(self, tool: str, seconds: float | None = None, **arguments: Any) -> Answer:
        """What a tool answers; raises `ToolError` with its text if that is an error."""
        client = await self.client()
        meta = cast(Any, None if seconds is None else {"pegboard/deadline": seconds})
        result = await client.call_tool(tool, arguments, meta=meta)
        if result.is_error:
            raise ToolError("".join(getattr(block, "text", "") for block in result.content))
        return cast(Answer, result.structured_content)

    async def query(self, sql: str, *params: Any, **arguments: Any) -> Answer:
        return await self.call("postgres_query", sql=sql, params=list(params), **arguments)

    async def more(self, answer: Answer, **arguments: Any) -> Answer:
        return await self.call("fetch_more", cursor=answer["cursor"], **arguments)

    async def all_rows(self, answer: Answer) -> tuple[list[Any], int]:
        """The rows of an answer and of all pages that follow it, and how many pages there were."""
        rows, pages = list(answer["rows"]), 1
        while answer["has_more"]:
            answer = await self.more(answer)
            rows += answer["rows"]
            pages += 1
        return rows, pages

    async def rows(self, sql: str, *params: Any) -> list[list[Any]]:
        return (await self.query(sql, *params))["rows"]

    async def value(self, sql: str, *params: Any) -> Any:
        ((value,),) = await self.rows(sql, *params)
        return value

    async def tables(self, **arguments: Any) -> list[dict[str, Any]]:
        """The lines of the list, as mappings."""
        answer = await self.call("postgres_list_tables", **arguments)
        names = [column["name"] for column in answer["columns"]]
        return [dict(zip(names, row, strict=True)) for row in answer["rows"]]

    async def table(self, name: str, **arguments: Any) -> Answer:
        return await self.call("postgres_describe_table", table=name, **arguments)

    async def pool(self) -> Pool:
        await self.client()
        return await self.hub.pools.get(POSTGRES, self.settings.target)


MakeReader = Callable[..., Reader]


@asynccontextmanager
async def readers() -> AsyncGenerator[MakeReader]:
    """Make readers of any DSN, with any settings; `hub` are those of the hub. They are closed with the block."""
    async with anyio.create_task_group() as tasks:

        def reader(dsn: str, hub: dict[str, Any] | None = None, **settings: Any) -> Reader:
            return Reader(tasks, hub or {}, dsn, **settings)

        yield reader
        tasks.cancel_scope.cancel()


@pytest.fixture
async def reader_of() -> AsyncGenerator[MakeReader]:
    async with readers() as make:
        yield make


@pytest.fixture
async def reader(reader_of: MakeReader, postgres_server: Embedded) -> Reader:
    """A reader of the session's server, as a role that may nothing but connect."""
    return reader_of(postgres_server.dsn)


@pytest.fixture
async def owner(reader_of: MakeReader, postgres: Database) -> Reader:
    """A reader of a database of this test, as the role that owns it and could write anything."""
    return reader_of(postgres.dsn)


async def execute(dsn: str, *statements: str) -> None:
    async with connected(dsn) as connection:
        for statement in statements:
            await connection.execute(statement)
