"""The graph of foreign keys: what is around a table, and how to get from one table to another."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NotRequired

from typing_extensions import TypedDict

from pegboard_postgres import catalog
from pegboard_postgres.driver import Connection
from pegboard_postgres.forms import quoted

MAX_PATHS = 5
MAX_HOPS = 8


class Relation(TypedDict):
    """A foreign key, as the condition of a join; `hops` is how far its nearer table is from the one asked about."""

    table: str
    references: str
    on: str
    hops: NotRequired[int]


class Path(TypedDict):
    """A way from one table to another, with the text for a FROM clause."""

    tables: list[str]
    sql: str


@dataclass(frozen=True, slots=True)
class Key:
    """A foreign key: columns of the table `source` refer to those of `target`, both by oid."""

    source: int
    target: int
    labels: tuple[str, str]
    columns: tuple[tuple[str, str], ...]

    def on(self, source: str, target: str) -> str:
        """The condition of a join, between what the two tables are called in it."""
        return " AND ".join(f"{source}.{_ident(one)} = {target}.{_ident(other)}" for one, other in self.columns)


@dataclass(frozen=True, slots=True)
class Graph:
    """All foreign keys, and those at each table, in both directions."""

    keys: tuple[Key, ...]
    at: dict[int, list[Key]] = field(default_factory=dict[int, list[Key]])

    @classmethod
    async def load(cls, connection: Connection) -> "Graph":
        """Read it from the catalog: the keys between tables the role may read."""
        graph = cls(tuple(_key(record) for record in await connection.fetch(catalog.GRAPH)))
        for key in graph.keys:
            for end in {key.source, key.target}:
                graph.at.setdefault(end, []).append(key)
        return graph

    def around(self, table: int, depth: int) -> list[Relation]:
        """The keys at most `depth` steps away, the nearest first."""
        distances = self._distances(table, depth - 1)
        near: dict[Key, int] = {}
        for reached, hops in distances.items():
            for key in self.at.get(reached, ()):
                near[key] = min(hops, near.get(key, hops))
        return [{**_relation(key), "hops": hops + 1} for key, hops in sorted(near.items(), key=lambda item: item[1])]

    def all(self) -> list[Relation]:
        """Every key."""
        return [_relation(key) for key in self.keys]

    def paths(self, start: int, end: int) -> list[Path]:
        """The shortest ways, some at most; from a table to itself, the keys with which it refers to itself."""
        if start == end:
            return [_path(start, [key]) for key in self.at.get(start, ()) if key.source == key.target][:MAX_PATHS]
        hops = self._distances(end, MAX_HOPS)
        return [_path(start, keys) for keys in islice(self._walk(start, end, hops), MAX_PATHS)]

    def _walk(self, here: int, end: int, hops: dict[int, int]) -> Iterable[list[Key]]:
        """All ways downhill, `hops` being the distance to the end."""
        if here == end:
            yield []
        for key in self.at.get(here, ()) if here in hops else ():
            there = _other(key, here)
            if hops.get(there, MAX_HOPS + 1) == hops[here] - 1:
                yield from ([key, *rest] for rest in self._walk(there, end, hops))

    def _distances(self, start: int, most: int) -> dict[int, int]:
        distances, waiting = {start: 0}, deque([start])
        while waiting:
            here = waiting.popleft()
            for key in self.at.get(here, ()) if distances[here] < most else ():
                there = _other(key, here)
                if there not in distances:
                    distances[there] = distances[here] + 1
                    waiting.append(there)
        return distances


def _key(record: Any) -> Key:
    columns = tuple(zip(record["columns"], record["referenced_columns"], strict=True))
    return Key(record["table_oid"], record["references_oid"], (record["table"], record["references"]), columns)


def _relation(key: Key) -> Relation:
    source, target = key.labels
    return {"table": source, "references": target, "on": key.on(source, _alias(key, target))}


def _path(start: int, keys: Sequence[Key]) -> Path:
    here = start
    tables = [_label(keys[0], start)]
    sql = f"FROM {tables[0]}"
    for key in keys:
        there = _other(key, here)
        label = _label(key, there)
        alias = _alias(key, label)
        on = key.on(tables[-1], alias) if key.source == here else key.on(alias, tables[-1])
        sql += f" JOIN {label}{f' AS {alias}' if alias != label else ''} ON {on}"
        tables.append(label)
        here = there
    return {"tables": tables, "sql": sql}


def _alias(key: Key, label: str) -> str:
    """What the second table is called in a join; one that is joined with itself needs another name there."""
    return "referenced" if key.source == key.target else label


def _other(key: Key, end: int) -> int:
    return key.target if key.source == end else key.source


def _label(key: Key, end: int) -> str:
    return key.labels[0] if key.source == end else key.labels[1]


def _ident(name: str) -> str:
    """A column's name in SQL, quoted only where it has to be."""
    return name if name.isidentifier() and name.isascii() and name == name.lower() else quoted(name)
