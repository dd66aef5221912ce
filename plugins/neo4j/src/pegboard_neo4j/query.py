"""Runs one statement that reads, and reads its rows on as they are wanted."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pegboard import Column, Reading, ToolError
from pegboard_neo4j import remarks
from pegboard_neo4j.guard import Statement
from pegboard_neo4j.pool import Graph
from pegboard_neo4j.transaction import Transaction
from pegboard_neo4j.values import Renderer

FETCH_AHEAD = 1000
READS_ONLY = "r"


@asynccontextmanager
async def reading(
    graph: Graph,
    statement: Statement,
    params: Mapping[str, Any],
    renderer: Renderer,
    *,
    limit: int,
    timeout: float,
    lasting: float,
) -> AsyncGenerator[Reading]:
    """The rows of a statement the guard has accepted.

    The connection is given back at once where the first page is all; else it stays lent until the end of the reading.
    """
    size = min(limit + 1, FETCH_AHEAD)
    async with AsyncExitStack() as stack:
        lent = graph.read(timeout=timeout, lasting=lasting, fetch_size=size)
        transaction = await stack.enter_async_context(lent)
        await verify(graph, transaction, statement, params)
        cursor = await transaction.run(statement.text, params)
        first = await cursor.fetch(size)
        notice = None
        if cursor.done:
            notice = await _notice(graph, transaction, statement, await cursor.summary(), is_empty=not first)
            await stack.aclose()
        ready = [renderer.row(row) for row in first]

        async def read(count: int) -> Sequence[list[Any]]:
            if ready:
                rows, ready[:] = ready[:count], ready[count:]
                return rows
            return [renderer.row(row) for row in await cursor.fetch(count)]

        columns = [Column(name) for name in cursor.columns]
        yield Reading(read, columns, total=len(first) if cursor.done else None, pins=not cursor.done, notice=notice)


async def verify(graph: Graph, transaction: Transaction, statement: Statement, params: Mapping[str, Any]) -> None:
    """Ask Neo4j itself whether the statement only reads; once for each text, for a minute.

    Others are not asked: the EXPLAIN of some of them runs the statement, or says of all that they write.
    """
    key = ("reads", statement.body)
    if not transaction.engine.is_neo4j or statement.mode == "EXPLAIN" or graph.cache.get(key):
        return
    cursor = await transaction.run(f"EXPLAIN {statement.body}", params)
    kind = (await cursor.summary()).query_type
    # Neo4j counts its own procedures about the server with what changes the schema; the guard has a list of them.
    if kind != READS_ONLY and not any(name.startswith("dbms.") for name in statement.procedures):
        raise ToolError(
            f"the server says that this statement does more than read (type {kind!r}); this tool only reads"
        )
    graph.cache.put(key, True)


async def _notice(
    graph: Graph, transaction: Transaction, statement: Statement, summary: Any, *, is_empty: bool
) -> str | None:
    if statement.mode == "EXPLAIN":
        return "EXPLAIN answers no rows; neo4j_explain shows the plan"
    return await remarks.notice(transaction, graph.cache, statement.text, summary, is_empty=is_empty)
