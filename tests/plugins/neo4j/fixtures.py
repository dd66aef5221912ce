"""What tests of the tools share: a client of a hub on one of the servers, and a small graph."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from mcp import Client
from tests.plugins.neo4j.engines import Engine

import pegboard_neo4j
from pegboard.testing import connect
from pegboard_neo4j.bolt import connected, run

PEOPLE = """
CREATE (ann:Person {name: 'Ann', age: 31, born: date('1993-04-05')})-[:KNOWS {since: 2015}]->
  (bob:Person {name: 'Bob', age: 27}),
  (bob)-[:KNOWS {since: 2020}]->(cid:Person {name: 'Cid', age: 45}),
  (ann)-[:LIVES_IN]->(rome:City {name: 'Rome'}), (cid)-[:LIVES_IN]->(rome),
  (:City {name: 'Oslo'})
"""


def settings(
    engine: Engine, *, as_reader: bool = False, hub: dict[str, Any] | None = None, **own: Any
) -> dict[str, Any]:
    login = engine.reader if as_reader else engine.admin
    place = {"url": login.url, "user": login.user, "password": login.password, "database": engine.database}
    return {"plugins": {"neo4j": {**place, **own}}, **(hub or {})}


def client_on(
    engine: Engine, *, as_reader: bool = False, hub: Any = None, client: dict[str, Any] | None = None, **own: Any
) -> AbstractAsyncContextManager[Client]:
    """A client of a hub that reads this server, as its administrator on purpose."""
    given = settings(engine, as_reader=as_reader, hub=hub, **own)
    return connect(pegboard_neo4j, settings=given, **(client or {}))


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """The answer of a call that must succeed."""
    result = await client.call_tool(f"neo4j_{tool}", arguments)
    assert not result.is_error, result.content
    return result.structured_content or {}


async def more(client: Client, answer: dict[str, Any]) -> dict[str, Any]:
    """What follows an answer that has more."""
    result = await client.call_tool("fetch_more", {"cursor": answer["cursor"]})
    assert not result.is_error, result.content
    return result.structured_content or {}


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    """The message of a call that must fail."""
    result = await client.call_tool(f"neo4j_{tool}", arguments)
    assert result.is_error, result.structured_content
    return "".join(getattr(block, "text", "") for block in result.content)


async def rows(client: Client, cypher: str, **params: Any) -> list[list[Any]]:
    return (await ask(client, "query", cypher=cypher, params=params))["rows"]


@asynccontextmanager
async def graph(engine: Engine, *statements: str) -> AsyncGenerator[None]:
    """Exactly this graph on the server while it lasts."""
    async with connected(engine.admin, engine.database) as session:
        await run(session, "MATCH (n) DETACH DELETE n")
        for statement in statements:
            await run(session, statement)
    try:
        yield
    finally:
        async with connected(engine.admin, engine.database) as session:
            await run(session, "MATCH (n) DETACH DELETE n")
