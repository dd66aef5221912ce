"""What a graph holds, seen by counting and by looking at a sample, without APOC; never longer than it may be."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired

import anyio
from typing_extensions import TypedDict

from pegboard_neo4j import indexes, names
from pegboard_neo4j.pool import Graph
from pegboard_neo4j.quoting import quoted
from pegboard_neo4j.transaction import Transaction

MAX_TOKENS = 1400
MAX_SAMPLED = 40
"""Labels or types that are looked at; of more, only the counts are told."""
COUNTING = 0.4
"""The part of the time that may go into counting."""
EXAMPLES = 3
LONGEST_EXAMPLE = 40

Detail = Literal["auto", "names", "full"]


class Label(TypedDict):
    """A label: how many nodes have it, and their properties with type and examples."""

    label: str
    count: NotRequired[int]
    properties: NotRequired[dict[str, str]]


class Relationship(TypedDict):
    """A type of relationship: how many there are, and what they connect."""

    type: str
    count: NotRequired[int]
    patterns: NotRequired[list[str]]
    properties: NotRequired[dict[str, str]]


class Schema(TypedDict):
    """The schema of a graph, or of some labels of it."""

    labels: list[Label]
    relationships: list[Relationship]
    indexes: list[str]
    constraints: list[str]
    notice: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the schema is asked for: all labels where none is named; `sample` is how many of each are seen."""

    labels: tuple[str, ...] = ()
    detail: Detail = "auto"
    sample: int = 100


async def schema(graph: Graph, wanted: Wanted, timeout: float) -> Schema:
    """The schema, as of a minute ago at most."""
    known = graph.cache.get(wanted)
    if known is None:
        async with graph.read(timeout=timeout) as transaction:
            known = await _Look(graph, transaction, wanted, anyio.current_time() + timeout * COUNTING).look()
        graph.cache.put(wanted, known)
    return known


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a graph."""

    graph: Graph
    transaction: Transaction
    wanted: Wanted
    counting_until: float

    async def look(self) -> Schema:
        labels, types = await self._names()
        sampled = self.wanted.detail != "names"
        found = Schema(
            labels=_sorted([await self._label(name, sampled and len(labels) <= MAX_SAMPLED) for name in labels]),
            relationships=_sorted([await self._type(name, sampled and len(types) <= MAX_SAMPLED) for name in types]),
            indexes=self._about(await indexes.indexes(self.transaction)),
            constraints=self._about(await indexes.constraints(self.transaction)),
            notice=None,
        )
        return fit(found, exact=self.wanted.detail == "full" and bool(self.wanted.labels))

    async def _names(self) -> tuple[Sequence[str], Sequence[str]]:
        """The labels and types to look at; with labels named, only the types at their nodes."""
        labels = self.wanted.labels
        if not labels:
            return [
                await names.known(self.transaction, self.graph.cache, kind) for kind in ("label", "relationship type")
            ]  # pyright: ignore[reportReturnType]
        await names.check(self.transaction, self.graph.cache, "label", labels)
        types: dict[str, None] = {}
        for label in labels:
            cypher = f"MATCH (n:{quoted(label)}) WITH n LIMIT $sample MATCH (n)-[r]-() RETURN DISTINCT type(r)"
            types |= dict.fromkeys(
                str(name) for (name,) in await self.transaction.rows(cypher, sample=self.wanted.sample)
            )
        return labels, sorted(types)

    def _about(self, found: Iterable[indexes.Index]) -> list[str]:
        labels = set(self.wanted.labels)
        return [str(index) for index in found if not labels or index.is_about(labels)]

    async def _label(self, name: str, sampled: bool) -> Label:
        pattern = f"MATCH (n:{quoted(name)})"
        found = Label(label=name)
        if (count := await self._count(f"{pattern} RETURN count(n)")) is not None:
            found["count"] = count
        if sampled:
            found["properties"] = await self._properties(pattern, "n")
        return found

    async def _type(self, name: str, sampled: bool) -> Relationship:
        pattern = f"MATCH ()-[r:{quoted(name)}]->()"
        found = Relationship(type=name)
        if (count := await self._count(f"{pattern} RETURN count(r)")) is not None:
            found["count"] = count
        if sampled:
            found["patterns"] = await self._patterns(name)
            if properties := await self._properties(pattern, "r"):
                found["properties"] = properties
        return found

    async def _count(self, cypher: str) -> int | None:
        if anyio.current_time() > self.counting_until:
            return None
        ((count,),) = await self.transaction.rows(cypher)
        return int(count)

    async def _properties(self, pattern: str, variable: str) -> dict[str, str]:
        cypher = (
            f"{pattern} WITH {variable} LIMIT $sample UNWIND keys({variable}) AS key "
            f"WITH key, collect({variable}[key])[0..{EXAMPLES}] AS some RETURN key, some ORDER BY key"
        )
        rows = await self.transaction.rows(cypher, sample=self.wanted.sample)
        return {str(key): described(some) for key, some in rows}

    async def _patterns(self, name: str) -> list[str]:
        cypher = (
            f"MATCH (a)-[r:{quoted(name)}]->(b) WITH a, b LIMIT $sample "
            "RETURN labels(a) AS start, labels(b) AS end, count(*) AS seen ORDER BY seen DESC"
        )
        rows = await self.transaction.rows(cypher, sample=self.wanted.sample)
        return [f"({_labels(start)})-[:{name}]->({_labels(end)})" for start, end, _ in rows]


def _labels(labels: Sequence[str]) -> str:
    return "".join(f":{label}" for label in sorted(labels))


def _sorted(found: list[Any]) -> list[Any]:
    """The most frequent first."""
    return sorted(found, key=lambda one: -one.get("count", 0))


def described(values: Sequence[Any]) -> str:
    """The types of some values and examples of them: `STRING 'Ann', 'Bob'`."""
    types = "|".join(dict.fromkeys(type_of(value) for value in values))
    examples = dict.fromkeys(shown for value in values if (shown := _example(value)))
    return f"{types} {', '.join(examples)}".strip()


def type_of(value: Any) -> str:
    """Cypher's word for the type of a value."""
    from neo4j.spatial import Point
    from neo4j.time import Date, DateTime, Duration, Time

    if isinstance(value, list):
        inner: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return f"LIST<{'|'.join(dict.fromkeys(type_of(one) for one in inner[:EXAMPLES]))}>({len(inner)})"
    if isinstance(value, DateTime | Time):
        what = "DATETIME" if isinstance(value, DateTime) else "TIME"
        return f"{'LOCAL' if value.tzinfo is None else 'ZONED'} {what}"
    types: Mapping[type, str] = {
        bool: "BOOLEAN", str: "STRING", int: "INTEGER", float: "FLOAT", Date: "DATE", Duration: "DURATION",
        Point: "POINT", bytes: "BYTES", bytearray: "BYTES",
    }  # fmt: skip
    return next((name for kind, name in types.items() if isinstance(value, kind)), type(value).__name__.upper())


def _example(value: Any) -> str | None:
    if isinstance(value, list | bytes | bytearray):
        return None
    text = value.iso_format() if hasattr(value, "iso_format") else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_EXAMPLE else None


def fit(found: Schema, *, exact: bool = False) -> Schema:
    """The schema in at most `MAX_TOKENS`: examples go first, then types, properties and patterns, then rare names.

    `exact` leaves it whole, for who asked for all of some labels.
    """
    for step in () if exact else STEPS:
        if tokens(found) <= MAX_TOKENS:
            break
        found = step(found)
    return found


def tokens(value: Any) -> int:
    """About how many tokens a value takes as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) // 4


MORE = "name some in labels to see all of them"


def _without_examples(found: Schema) -> Schema:
    def typed(properties: dict[str, str]) -> dict[str, str]:
        return {name: text.partition(" '")[0] if "'" in text else _type_only(text) for name, text in properties.items()}

    return _mapped(found, typed, f"examples are left out; {MORE}")


def _type_only(text: str) -> str:
    words = text.split(" ")
    return " ".join(words[: 2 if words[0] in ("LOCAL", "ZONED") else 1])


def _without_properties(found: Schema) -> Schema:
    return _mapped(found, lambda _: None, f"properties are left out; {MORE}")


def _mapped(found: Schema, change: Callable[[dict[str, str]], dict[str, str] | None], notice: str) -> Schema:
    def changed(one: Any) -> Any:
        properties = change(one.get("properties", {}))
        rest = {key: value for key, value in one.items() if key != "properties"}
        return {**rest, "properties": properties} if properties else rest

    return Schema(
        labels=[changed(one) for one in found["labels"]],
        relationships=[changed(one) for one in found["relationships"]],
        indexes=found["indexes"],
        constraints=found["constraints"],
        notice=notice,
    )


def _without_indexes(found: Schema) -> Schema:
    def bare(one: Relationship) -> Relationship:
        kept = Relationship(type=one["type"])
        if "count" in one:
            kept["count"] = one["count"]
        return kept

    return {
        **found,
        "relationships": [bare(one) for one in found["relationships"]],
        "indexes": [],
        "constraints": [],
        "notice": f"properties, patterns and indexes are left out; {MORE}",
    }


def _cut(found: Schema) -> Schema:
    """Only the most frequent labels and types, half of the room for each."""
    labels, types = found["labels"], found["relationships"]
    kept_labels, kept_types = _fitting(labels), _fitting(types)
    notice = (
        f"the {len(kept_labels)} most frequent of {len(labels)} labels and {len(kept_types)} of {len(types)} types; "
        f"CALL db.labels() lists all; {MORE}"
    )
    return {**found, "labels": kept_labels, "relationships": kept_types, "notice": notice}


def _fitting(items: list[Any]) -> list[Any]:
    room = (MAX_TOKENS - 100) // 2
    kept: list[Any] = []
    for item in items:
        room -= tokens(item) + 1
        if room < 0:
            break
        kept.append(item)
    return kept


STEPS: tuple[Callable[[Schema], Schema], ...] = (_without_examples, _without_properties, _without_indexes, _cut)
