"""One statement that writes: run, shown, and committed only if the user agrees."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pegboard_neo4j.guard import Statement
from pegboard_neo4j.pool import Graph
from pegboard_neo4j.values import Renderer

if TYPE_CHECKING:
    from neo4j import SummaryCounters

SAMPLE = 20
LONGEST_SAMPLE = 1000
COUNTERS = (
    "nodes_created",
    "nodes_deleted",
    "relationships_created",
    "relationships_deleted",
    "properties_set",
    "labels_added",
    "labels_removed",
    "indexes_added",
    "indexes_removed",
    "constraints_added",
    "constraints_removed",
    "system_updates",
)

Agree = Callable[[Mapping[str, int], list[list[Any]]], Awaitable[None]]


async def execute(
    graph: Graph,
    statement: Statement,
    params: Mapping[str, Any],
    renderer: Renderer,
    agree: Agree,
    *,
    timeout: float,
) -> tuple[dict[str, int], list[str], list[list[Any]]]:
    """Run it and commit after `agree` has returned; what `agree` raises undoes it all.

    Returns the counters, the columns and the first rows.
    """
    async with graph.write(timeout=timeout) as transaction:
        cursor = await transaction.run(statement.text, params)
        rows = [renderer.row(row) for row in await cursor.fetch(SAMPLE)]
        counters = counted((await cursor.summary()).counters)
        if counters:
            await agree(counters, rows)
            await transaction.commit()
    return counters, list(cursor.columns), rows


def counted(counters: "SummaryCounters") -> dict[str, int]:
    """What was changed, without the zeros."""
    return {name: count for name in COUNTERS if (count := getattr(counters, name))}


IDS = frozenset({"element_id", "start", "end"})


def sample(rows: Sequence[Any]) -> str:
    """The first rows for a user to look at, without ids: those of new nodes are others when it is run again."""
    text = str([_without_ids(row) for row in rows])
    return text if len(text) <= LONGEST_SAMPLE else f"{text[:LONGEST_SAMPLE]}…"


def _without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_ids(inner) for inner in cast("list[Any]", value)]
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        hidden = IDS if "_type" in known else frozenset[str]()
        return {key: _without_ids(inner) for key, inner in known.items() if key not in hidden}
    return value


def told(counters: Mapping[str, int]) -> str:
    """The counters as a sentence: `2 nodes created, 3 properties set`."""
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counters.items())
