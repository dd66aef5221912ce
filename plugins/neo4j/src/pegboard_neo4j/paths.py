"""The shortest paths between two nodes."""

from collections.abc import Mapping, Sequence
from typing import Any

from pegboard import ToolError
from pegboard_neo4j import names, nodes
from pegboard_neo4j.pool import Graph
from pegboard_neo4j.values import Renderer

Step = dict[str, Any]


async def shortest(
    graph: Graph,
    renderer: Renderer,
    ends: tuple[str | Mapping[str, Any], str | Mapping[str, Any]],
    types: Sequence[str],
    *,
    directed: bool,
    max_depth: int,
    limit: int,
    timeout: float,
) -> list[dict[str, Any]]:
    """At most `limit` shortest paths, each as its nodes and the relationships between them."""
    async with graph.read(timeout=timeout) as transaction:
        safe = await names.check(transaction, graph.cache, "relationship type", types)
        start, end = [
            await nodes.find(transaction, graph, name, node) for name, node in zip(("a", "b"), ends, strict=True)
        ]
        if start.element_id == end.element_id:
            raise ToolError("start and end are the same node; name two")
        pattern = f"(a)-[{':' + '|'.join(safe) if safe else ''}*..{max_depth}]-{'>' if directed else ''}(b)"
        cypher = (
            "MATCH (a) WHERE elementId(a) = $a MATCH (b) WHERE elementId(b) = $b "
            f"MATCH p = allShortestPaths({pattern}) RETURN p LIMIT $limit"
        )
        rows = await transaction.rows(cypher, a=start.element_id, b=end.element_id, limit=limit)
    return [renderer.json(path) for (path,) in rows]
