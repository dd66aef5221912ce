"""Nodes of a label, page by page without holding anything between pages; and what is connected to one node."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pegboard import Reading, ToolError
from pegboard_neo4j import names
from pegboard_neo4j.filters import conditions
from pegboard_neo4j.parameters import value
from pegboard_neo4j.pool import Graph
from pegboard_neo4j.quoting import quoted
from pegboard_neo4j.transaction import Transaction
from pegboard_neo4j.values import Renderer

CHUNK = 500
"""Rows a page asks for at least; the hub reads ahead anyway."""

Direction = Literal["out", "in", "both"]


@dataclass(slots=True)
class Keyset:
    """Rows in the order of an element id, the last value of a row; a page begins behind the last row of the one before.

    With `skips` the rows have an order of their own, and a page skips those before it.
    """

    graph: Graph
    cypher: str
    params: Mapping[str, Any]
    timeout: float
    skips: bool
    last: str = ""
    count: int = 0
    ended: bool = False
    ready: list[Sequence[Any]] = field(default_factory=list[Sequence[Any]])

    async def fetch(self, count: int) -> list[Sequence[Any]]:
        """Up to `count` more rows."""
        if not self.ready and not self.ended:
            await self._ask(max(count, CHUNK))
        rows, self.ready = self.ready[:count], self.ready[count:]
        return rows

    async def _ask(self, count: int) -> None:
        async with self.graph.read(timeout=self.timeout) as transaction:
            place = {"skip": self.count} if self.skips else {"last": self.last}
            self.ready = list(await transaction.rows(self.cypher, **self.params, **place, count=count))
        self.ended = len(self.ready) < count
        self.count += len(self.ready)
        self.last = str(self.ready[-1][-1]) if self.ready else self.last


@asynccontextmanager
async def list_nodes(
    graph: Graph,
    renderer: Renderer,
    label: str,
    where: Mapping[str, Any],
    order_by: str | None,
    *,
    timeout: float,
) -> AsyncGenerator[Reading]:
    """The nodes of a label that fulfil all conditions, by element id or by a property (`-name` is descending)."""
    tests, params = conditions("n", where)
    keys = [*where, *([order_by.removeprefix("-")] if order_by else [])]
    async with graph.read(timeout=timeout) as transaction:
        (safe,) = await names.check(transaction, graph.cache, "label", [label])
        await names.check(transaction, graph.cache, "property", keys)
        total = await _count(transaction, safe) if not where else None
    if order_by is None:
        tests, order, page = [*tests, "elementId(n) > $last"], "elementId(n)", "LIMIT $count"
    else:
        direction = " DESC" if order_by.startswith("-") else ""
        order, page = f"n.{quoted(order_by.removeprefix('-'))}{direction}, elementId(n)", "SKIP $skip LIMIT $count"
    condition = f"WHERE {' AND '.join(tests)} " if tests else ""
    cypher = f"MATCH (n:{safe}) {condition}RETURN n, elementId(n) AS id ORDER BY {order} {page}"
    keyset = Keyset(graph, cypher, params, timeout, skips=order_by is not None)

    async def read(count: int) -> Sequence[Any]:
        return [_shown(renderer, node) for node, _ in await keyset.fetch(count)]

    yield Reading(read, total=total)


async def _count(transaction: Transaction, label: str) -> int:
    ((count,),) = await transaction.rows(f"MATCH (n:{label}) RETURN count(n)")
    return int(count)


def _shown(renderer: Renderer, node: Any) -> dict[str, Any]:
    return {key: part for key, part in renderer.json(node).items() if key != "_type"}


@dataclass(frozen=True, slots=True)
class Place:
    """How one node is found: a pattern of `variable`, conditions, parameters."""

    pattern: str
    condition: str
    params: Mapping[str, Any]


async def find(transaction: Transaction, graph: Graph, variable: str, node: str | Mapping[str, Any]) -> Any:
    """The one node meant by an element id, or by `{"label", "key", "value"}`; raises `ToolError` if it is not one."""
    place = await _place(transaction, graph, variable, node)
    match = f"MATCH {place.pattern} WHERE {place.condition} RETURN {variable} LIMIT 2"
    rows = await transaction.rows(match, **place.params)
    if len(rows) == 1:
        return rows[0][0]
    if rows:
        raise ToolError(f"several nodes are {_told(node)}; name one by its element_id")
    raise ToolError(f"no node is {_told(node)}; neo4j_list_nodes lists those of a label, with their element_id")


async def _place(transaction: Transaction, graph: Graph, variable: str, node: str | Mapping[str, Any]) -> Place:
    if isinstance(node, str):
        return Place(f"({variable})", f"elementId({variable}) = ${variable}", {variable: node})
    if set(node) != {"label", "key", "value"}:
        raise ToolError('a node is an element_id, or {"label": ..., "key": ..., "value": ...}, with all three')
    (label,) = await names.check(transaction, graph.cache, "label", [str(node["label"])])
    (key,) = await names.check(transaction, graph.cache, "property", [str(node["key"])])
    given = value(node["value"], f"{variable}.value")
    return Place(f"({variable}:{label})", f"{variable}.{key} = ${variable}", {variable: given})


def _told(node: str | Mapping[str, Any]) -> str:
    if isinstance(node, str):
        return f"{node!r}"
    return f"(:{node['label']} {{{node['key']}: {node['value']!r}}})"


PATTERNS: dict[Direction, str] = {
    "out": "(n)-[r{types}]->(m)",
    "in": "(n)<-[r{types}]-(m)",
    "both": "(n)-[r{types}]-(m)",
}


@asynccontextmanager
async def relationships(
    graph: Graph,
    renderer: Renderer,
    node: str | Mapping[str, Any],
    direction: Direction,
    types: Sequence[str],
    *,
    timeout: float,
) -> AsyncGenerator[Reading]:
    """The relationships of one node, with their properties and the node at the other end."""
    async with graph.read(timeout=timeout) as transaction:
        safe = await names.check(transaction, graph.cache, "relationship type", types)
        found = await find(transaction, graph, "n", node)
    pattern = PATTERNS[direction].format(types=f":{'|'.join(safe)}" if safe else "")
    cypher = (
        f"MATCH {pattern} WHERE elementId(n) = $id AND elementId(r) > $last "
        "RETURN r, m, elementId(startNode(r)) = $id AS out, elementId(r) AS key ORDER BY key LIMIT $count"
    )
    keyset = Keyset(graph, cypher, {"id": found.element_id}, timeout, skips=False)

    async def read(count: int) -> Sequence[Any]:
        return [_related(renderer, row) for row in await keyset.fetch(count)]

    yield Reading(read)


def _related(renderer: Renderer, row: Sequence[Any]) -> dict[str, Any]:
    relationship, other, is_out, _ = row
    shown = cast("dict[str, Any]", renderer.json(relationship))
    return {
        "element_id": shown["element_id"],
        "type": shown["type"],
        "direction": "out" if is_out else "in",
        "properties": shown["properties"],
        "node": _shown(renderer, other),
    }
