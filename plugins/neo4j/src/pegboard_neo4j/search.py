"""Asks a full-text or a vector index."""

from collections.abc import Sequence
from typing import Any

from pegboard import ToolError
from pegboard_neo4j import indexes
from pegboard_neo4j.indexes import Index
from pegboard_neo4j.pool import Graph
from pegboard_neo4j.suggest import like
from pegboard_neo4j.transaction import Transaction
from pegboard_neo4j.values import Renderer

FULLTEXT, VECTOR = "FULLTEXT", "VECTOR"
SEARCHED = (FULLTEXT, VECTOR)


async def search(
    graph: Graph,
    renderer: Renderer,
    index: str,
    wanted: str | Sequence[float],
    limit: int,
    timeout: float,
) -> list[dict[str, Any]]:
    """The nodes or relationships that fit best, the best first, each with its score."""
    async with graph.read(timeout=timeout) as transaction:
        found = await _index(transaction, index)
        needs = FULLTEXT if isinstance(wanted, str) else VECTOR
        if found.type != needs:
            raise ToolError(f"{index!r} is a {found.type} index; give {'text' if found.type == FULLTEXT else 'vector'}")
        rows = await transaction.rows(_cypher(found), index=index, wanted=wanted, limit=limit)
    return [{**renderer.json(entity), "score": score} for entity, score in rows]


def _cypher(index: Index) -> str:
    entity = "node" if index.entity == "NODE" else "relationship"
    procedure = f"db.index.{index.type.lower()}.query{entity.capitalize()}s"
    arguments = "$index, $wanted" if index.type == FULLTEXT else "$index, $limit, $wanted"
    return (
        f"CALL {procedure}({arguments}) YIELD {entity}, score RETURN {entity}, score ORDER BY score DESC LIMIT $limit"
    )


async def _index(transaction: Transaction, name: str) -> Index:
    there = [index for index in await indexes.indexes(transaction) if index.type in SEARCHED]
    found = next((index for index in there if index.name == name), None)
    if found is not None:
        return found
    close = like(name, [index.name for index in there])
    guess = f"; did you mean {' or '.join(map(repr, close))}?" if close else "."
    listed = "; ".join(map(str, there)) or "none; an administrator can create one (CREATE FULLTEXT INDEX ...)"
    raise ToolError(f"no full-text or vector index {name!r}{guess} There are: {listed}")
