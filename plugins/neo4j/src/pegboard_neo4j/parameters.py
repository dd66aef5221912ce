"""From the JSON a client sends to the driver's values.

JSON's own values stay what they are. What the renderer wrote as an object with a `_type` may be sent back, and
`{"_type": "date", "value": "2024-05-01"}` makes a date of an ISO string; so do datetime, time, duration, point, bytes,
vector, integer and float.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, cast

from pegboard import ToolError

INT64 = range(-(2**63), 2**63)
MAX_DEPTH = 50
MAX_ITEMS = 50_000


def values(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of a query; raises `ToolError` that names the one that cannot be used."""
    return {name: value(given, f"${name}") for name, given in (params or {}).items()}


def value(given: Any, where: str, depth: int = 0) -> Any:
    """One value, found at `where`."""
    if depth > MAX_DEPTH:
        raise ToolError(f"{where} is nested deeper than {MAX_DEPTH} levels; make it flatter")
    if isinstance(given, dict | list) and len(cast("list[Any]", given)) > MAX_ITEMS:
        raise ToolError(f"{where} has {len(cast('list[Any]', given))} items; send at most {MAX_ITEMS} at a time")
    if isinstance(given, dict):
        mapping = cast("dict[str, Any]", given)
        if "_type" in mapping:
            return _typed(mapping, where)
        return {key: value(inner, f"{where}.{key}", depth + 1) for key, inner in mapping.items()}
    if isinstance(given, list):
        return [value(inner, f"{where}[{index}]", depth + 1) for index, inner in enumerate(cast("list[Any]", given))]
    if isinstance(given, int) and not isinstance(given, bool) and given not in INT64:
        raise ToolError(f"{where} is an integer beyond 64 bits; send it as a string and compare strings")
    if isinstance(given, str) and not _is_unicode(given):
        raise ToolError(f"{where} has half a surrogate pair, which is no text")
    return given


def _typed(given: Mapping[str, Any], where: str) -> Any:
    kind = str(given["_type"])
    if kind in ("node", "relationship", "path"):
        raise ToolError(f"{where} cannot be a {kind}: send its element_id and match WHERE elementId(n) = {where}")
    make = _makers().get(kind)
    if make is None:
        raise ToolError(f"{where} has the unknown _type {kind!r}; there are {', '.join(sorted(_makers()))}")
    try:
        return make(given)
    except (KeyError, TypeError, ValueError, ArithmeticError, binascii.Error) as error:
        raise ToolError(f"{where} is no {kind}: {EXAMPLES[kind]} is how one is written") from error


EXAMPLES = {
    "date": '{"_type": "date", "value": "2024-05-01"}',
    "time": '{"_type": "time", "value": "12:30:00.5+02:00"}',
    "datetime": '{"_type": "datetime", "value": "2024-05-01T12:30:00+02:00[Europe/Rome]"}',
    "duration": '{"_type": "duration", "value": "P1M2DT3.5S"}',
    "point": '{"_type": "point", "srid": 4326, "coordinates": [12.5, 41.9]}',
    "bytes": '{"_type": "bytes", "base64": "AAEC"}',
    "vector": '{"_type": "vector", "dtype": "f32", "values": [0.1, 0.2]}',
    "integer": '{"_type": "integer", "value": "9007199254740993"}',
    "float": '{"_type": "float", "value": "NaN"}',
}


def _makers() -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
    from neo4j.time import Date, Duration, Time
    from neo4j.vector import Vector

    return {
        "date": lambda given: Date.from_iso_format(given["value"]),
        "time": lambda given: Time.from_iso_format(given["value"]),
        "datetime": lambda given: _datetime(given["value"]),
        "duration": lambda given: Duration.from_iso_format(given["value"]),
        "point": lambda given: _point(given["srid"], given["coordinates"]),
        "bytes": lambda given: base64.b64decode(given["base64"], validate=True),
        "vector": lambda given: Vector(given["values"], given["dtype"]),
        "integer": lambda given: _integer(given["value"]),
        "float": lambda given: float(given["value"]),
    }


def _integer(text: str) -> int:
    number = int(text)
    if number not in INT64:
        raise ValueError(text)
    return number


def _datetime(text: str) -> Any:
    """A moment; `[Europe/Rome]` at its end is the zone; the offset tells apart an hour that comes twice."""
    import pytz  # the driver's own time zones
    from neo4j.time import DateTime

    iso, _, name = text.removesuffix("]").partition("[")
    moment = DateTime.from_iso_format(iso)  # pyright: ignore[reportUnknownMemberType]
    if not name:
        return moment
    zone = pytz.timezone(name)
    return moment.as_timezone(zone) if moment.tzinfo else zone.localize(moment)  # pyright: ignore[reportArgumentType]


def _point(srid: int, coordinates: list[float]) -> Any:
    from neo4j.spatial import CartesianPoint, WGS84Point

    kind, dimensions = {
        4326: (WGS84Point, 2),
        4979: (WGS84Point, 3),
        7203: (CartesianPoint, 2),
        9157: (CartesianPoint, 3),
    }[srid]
    if len(coordinates) != dimensions:
        raise ValueError(srid)
    return kind([float(number) for number in coordinates])


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
