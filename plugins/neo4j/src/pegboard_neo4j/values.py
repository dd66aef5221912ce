"""From the driver's values to JSON, losing nothing; `parameters` is the way back.

What JSON has no word for is an object with a `_type`, or a string: dates and times as ISO with nanoseconds, NaN and
infinities, integers beyond 2^53.
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

MAX_INTEGER = 2**53
MAX_DEPTH = 30
SHOWN_NUMBERS = 8
MAX_ITEMS = 10_000
"""No answer has room for more of one list."""

Render = Callable[[Any, int], Any]


@dataclass(frozen=True)
class Renderer:
    """Makes JSON of values.

    Lists of more than `numbers` numbers (embeddings) show their first ones and how many follow; bytes are cut behind
    `cell` characters. Longer strings and lists are the hub's to cut.
    """

    cell: int = 2000
    numbers: int = 128

    def row(self, values: Sequence[Any]) -> list[Any]:
        """One row."""
        return [self.json(value) for value in values]

    def json(self, value: Any, depth: int = 0) -> Any:
        """One value."""
        render = self._renders.get(cast("type[Any]", type(value)))
        if render is None:
            render = next((render for kind, render in self._renders.items() if isinstance(value, kind)), _unknown)
        return render(value, depth) if depth <= MAX_DEPTH else str(value)

    @cached_property
    def _renders(self) -> Mapping[type, Render]:
        from neo4j.graph import Node, Path, Relationship
        from neo4j.spatial import Point
        from neo4j.time import Date, DateTime, Duration, Time
        from neo4j.types import UnsupportedType
        from neo4j.vector import Vector

        return {
            str: lambda value, _: text(value),
            bool: _same,
            int: lambda value, _: value if -MAX_INTEGER <= value <= MAX_INTEGER else str(value),
            float: lambda value, _: value if math.isfinite(value) else _not_finite(value),
            type(None): _same,
            Node: self._node,
            Relationship: self._relationship,
            Path: self._path,
            Point: lambda value, _: {"_type": "point", "srid": value.srid, "coordinates": list(value)},
            Duration: lambda value, _: value.iso_format(),
            DateTime: _clock,
            Date: lambda value, _: value.iso_format(),
            Time: _clock,
            Vector: self._vector,
            bytes: self._bytes,
            bytearray: self._bytes,
            UnsupportedType: lambda value, _: {"_type": "unsupported", "name": value.name},
            list: self._list,
            dict: self._map,
        }

    def _list(self, values: list[Any], depth: int) -> list[Any]:
        if len(values) > self.numbers and all(type(value) in (int, float) for value in values):
            return [*values[:SHOWN_NUMBERS], _more(len(values) - SHOWN_NUMBERS)]
        shown = [self.json(value, depth + 1) for value in values[:MAX_ITEMS]]
        return [*shown, _more(len(values) - MAX_ITEMS)] if len(values) > MAX_ITEMS else shown

    def _map(self, values: Mapping[str, Any], depth: int) -> dict[str, Any]:
        return {text(key): self.json(value, depth + 1) for key, value in values.items()}

    def _node(self, node: Any, depth: int) -> dict[str, Any]:
        properties = self._map(dict(node), depth)
        return {
            "_type": "node",
            "element_id": node.element_id,
            "labels": sorted(node.labels),
            "properties": properties,
        }

    def _relationship(self, relationship: Any, depth: int) -> dict[str, Any]:
        start, end = relationship.nodes
        return {
            "_type": "relationship",
            "element_id": relationship.element_id,
            "type": relationship.type,
            "start": start.element_id if start is not None else None,
            "end": end.element_id if end is not None else None,
            "properties": self._map(dict(relationship), depth),
        }

    def _path(self, path: Any, depth: int) -> dict[str, Any]:
        return {
            "_type": "path",
            "nodes": [self._node(node, depth + 1) for node in path.nodes],
            "relationships": [self._relationship(one, depth + 1) for one in path.relationships],
        }

    def _vector(self, vector: Any, depth: int) -> dict[str, Any]:
        return {"_type": "vector", "dtype": vector.dtype.value, "values": self._list(vector.to_native(), depth)}

    def _bytes(self, value: bytes | bytearray, _: int) -> dict[str, Any]:
        if len(value) * 4 // 3 <= self.cell:
            return {"_type": "bytes", "base64": base64.b64encode(value).decode()}
        shown = base64.b64encode(value[: self.cell * 3 // 4 // 3 * 3]).decode()
        return {"_type": "bytes", "base64": f"{shown}…(+{len(value) - self.cell * 3 // 4 // 3 * 3} bytes)"}


def _more(count: int) -> str:
    return f"…(+{count} items)"


def text(value: str) -> str:
    """The text, with half surrogate pairs replaced: no client could read them."""
    return value if value.isascii() else value.encode(errors="replace").decode()


def _same(value: Any, _: int) -> Any:
    return value


def _not_finite(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _clock(value: Any, _: int) -> str:
    """ISO as Neo4j writes it: no zeros at the end of a second, seconds in an offset, the zone behind it.

    `2024-07-01T12:00:00.5+02:00[Europe/Rome]`. The driver drops the seconds of old offsets, and the zone.
    """
    local = str(value.replace(tzinfo=None).iso_format())
    offset = value.utcoffset()
    zone = getattr(value.tzinfo, "zone", None) or getattr(value.tzinfo, "key", None)
    text = local.rstrip("0").rstrip(".") if "." in local else local
    if offset is None:
        return text
    return (
        f"{text}Z"
        if zone == "UTC"
        else f"{text}{_offset(round(offset.total_seconds()))}" + (f"[{zone}]" if zone else "")
    )


def _offset(seconds: int) -> str:
    minutes, rest = divmod(abs(seconds), 60)
    text = f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"
    return f"{text}:{rest:02}" if rest else text


def _unknown(value: Any, _: int) -> Any:
    return text(str(value))
