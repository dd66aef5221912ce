"""How the server would run a query: the plan in words, and what to change."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from typing_extensions import TypedDict

from pegboard_neo4j import query, remarks, suggest
from pegboard_neo4j.guard import Statement
from pegboard_neo4j.names import known
from pegboard_neo4j.pool import Graph

if TYPE_CHECKING:
    from neo4j import ResultSummary

PROPERTY = re.compile(r"\b(\w+)\.(`[^`]+`|\w+)")
SCANNED = re.compile(r"^(\w+):(`[^`]+`|\w+)")

ADVICE = {
    "AllNodesScan": "AllNodesScan reads every node of the graph; give the pattern a label",
    "AllRelationshipsScan": "it reads every relationship of the graph; give the pattern a type or a label",
    "UndirectedAllRelationshipsScan": "it reads every relationship of the graph; give the pattern a type or a label",
    "DirectedAllRelationshipsScan": "it reads every relationship of the graph; give the pattern a type or a label",
    "CartesianProduct": "CartesianProduct combines every row of one part with every row of the other; connect the "
    "patterns, or match one after the other",
    "Eager": "Eager holds all rows in memory before it goes on",
}
SCAN = "NodeByLabelScan"
FILTER = "Filter"


class Plan(TypedDict):
    """The operators, the last one first, each behind what it feeds; and what to do about them."""

    plan: list[str]
    warnings: list[str]
    notice: str | None


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of a plan, and how deep it lies."""

    name: str
    details: str
    estimated: float | None
    rows: int | None
    hits: int | None
    depth: int
    feeds: "Operator | None"

    def __str__(self) -> str:
        numbers = [f"~{self.estimated:.4g} rows"] * (self.estimated is not None)
        if self.rows is not None:
            numbers += [f"{self.rows} rows", f"{self.hits} db hits"]
        return f"{'  ' * self.depth}{self.name} {self.details}".rstrip() + (
            f" ({', '.join(numbers)})" if numbers else ""
        )


async def explain(
    graph: Graph, statement: Statement, params: Mapping[str, Any], *, profile: bool, timeout: float
) -> Plan:
    """The plan of a statement the guard has accepted; with `profile` it is run, and the rows are counted."""
    async with graph.read(timeout=timeout) as transaction:
        await query.verify(graph, transaction, statement, params)
        cursor = await transaction.run(f"{'PROFILE' if profile else 'EXPLAIN'} {statement.body}", params)
        summary = await cursor.summary()
        unknown = [
            suggest.missing(kind, name, await known(transaction, graph.cache, kind))
            for kind, name in remarks.unknown(summary)
        ]
    return described(summary, unknown)


def described(summary: "ResultSummary", unknown: list[str]) -> Plan:
    """The plan of a summary in words."""
    root = cast(Any, summary).profile or cast(Any, summary).plan
    if not root:
        return Plan(plan=[], warnings=unknown, notice="the server gives no plan for this statement")
    text = root.get("args", {}).get("string-representation")
    if text and "operatorType" in root and not root.get("children"):
        return Plan(plan=[line for line in str(text).splitlines() if line.strip()], warnings=unknown, notice=None)
    operators = list(_operators(root))
    advice = [line for operator in operators for line in _advice(operator)]
    return Plan(
        plan=[str(operator) for operator in operators],
        warnings=list(dict.fromkeys([*unknown, *advice, *remarks.warnings(summary)])),
        notice=None,
    )


def _operators(plan: Any, depth: int = 0, feeds: Operator | None = None) -> Iterator[Operator]:
    args = plan.get("args", {})
    is_profiled = "dbHits" in plan
    operator = Operator(
        name=str(plan["operatorType"]).partition("@")[0],
        details=str(args.get("Details", "")),
        estimated=args.get("EstimatedRows"),
        rows=plan.get("rows") if is_profiled else None,
        hits=plan.get("dbHits") if is_profiled else None,
        depth=depth,
        feeds=feeds,
    )
    yield operator
    for child in plan.get("children", []):
        yield from _operators(child, depth + 1, operator)


def _advice(operator: Operator) -> Iterator[str]:
    if operator.name in ADVICE:
        yield ADVICE[operator.name]
    scanned = SCANNED.match(operator.details)
    if operator.name != SCAN or scanned is None or operator.feeds is None or operator.feeds.name != FILTER:
        return
    variable, label = scanned.groups()
    for other, key in dict.fromkeys(PROPERTY.findall(operator.feeds.details)):
        if other == variable:
            yield (
                f"every :{label} is read to test {variable}.{key}; an index would help: "
                f"CREATE INDEX FOR (n:{label}) ON (n.{key})"
            )
