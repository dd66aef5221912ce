"""One condition on one payload key, in Qdrant's JSON, from an operator and its value; every value is checked."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from pegboard import ToolError
from pegboard_qdrant.names import unknown

Condition = dict[str, Any]

MAX_VALUES = 1000
MAX_TEXT = 8192
MAX_INTEGER = 2**63
SAFE_INTEGER = 2**53
BOUNDS = ("lt", "lte", "gt", "gte")
TEXTS = ("text", "text_any", "phrase", "prefix", "substring")
MAX_RADIUS = 20_100_000
"""Metres: half way around the world."""


def wrong(where: str, problem: str) -> ToolError:
    """What is wrong with a filter, and where."""
    return ToolError(f"filter, {where}: {problem}" if where else f"filter: {problem}")


def equal(key: str, value: Any, where: str) -> Condition:
    """The key has this value, or a list of values with it in it."""
    if isinstance(value, float):
        number = finite(value, where)
        return {"key": key, "range": {"gte": number, "lte": number}}
    if isinstance(value, str) and _is_long_integer(value):
        # An answer shows an integer beyond 2^53 as a string, so that string may mean the integer.
        return {"should": [_matched(key, {"value": value}), _matched(key, {"value": int(value)})]}
    return _matched(key, {"value": scalar(value, where)})


def one_of(key: str, values: Any, where: str) -> Condition:
    """The key has one of these values."""
    given = items(values, where)
    if all(isinstance(value, str) for value in given) or all(type(value) is int for value in given):
        return _matched(key, {"any": [scalar(value, where) for value in given]})
    return {"should": [equal(key, value, where) for value in given]}


def none_of(key: str, values: Any, where: str) -> Condition:
    """The key has none of these values."""
    return {"must_not": [one_of(key, values, where)]}


def not_equal(key: str, value: Any, where: str) -> Condition:
    """The key does not have this value."""
    if value is None:
        return {"must_not": [is_null(key)]}
    return none_of(key, value, where) if isinstance(value, list) else {"must_not": [equal(key, value, where)]}


def between(key: str, bounds: Any, where: str) -> Condition:
    """The key lies between bounds: numbers, or dates and times."""
    given = {name: value for name, value in mapping(bounds, where).items() if value is not None}
    for name in given:
        if name not in BOUNDS:
            raise wrong(where, unknown("no bound is called", name, BOUNDS))
    if not given:
        raise wrong(where, "a range needs one of lt, lte, gt and gte")
    return {"key": key, "range": _same_kind({name: _bound(value, where) for name, value in given.items()}, where)}


def matching(key: str, word: str, value: Any, where: str) -> Condition:
    """The key's text holds words, a phrase, or a part."""
    return _matched(key, {word: text(value, where)})


def counted(key: str, bounds: Any, where: str) -> Condition:
    """The key has so many values."""
    if type(bounds) is int:
        bounds = {"gte": bounds, "lte": bounds}
    return {"key": key, "values_count": {name: whole(value, where) for name, value in _counts(bounds, where).items()}}


def near(key: str, value: Any, where: str) -> Condition:
    """The key is a place within `radius` metres of a point."""
    given = dict(mapping(value, where))
    radius = given.pop("radius", None)
    center = given.pop("center", None)
    if radius is None or (center is not None and given):
        raise wrong(where, 'write {"lat": 52.5, "lon": 13.4, "radius": 1000}, the radius in metres')
    metres = finite(radius, where)
    if not 0 < metres <= MAX_RADIUS:
        raise wrong(where, f"the radius is in metres, more than 0 and at most {MAX_RADIUS}")
    return {"key": key, "geo_radius": {"center": place(given if center is None else center, where), "radius": metres}}


def box(key: str, value: Any, where: str) -> Condition:
    """The key is a place in a box."""
    corners = mapping(value, where)
    if set(corners) != {"top_left", "bottom_right"}:
        raise wrong(where, 'write {"top_left": {"lat": .., "lon": ..}, "bottom_right": {"lat": .., "lon": ..}}')
    return {"key": key, "geo_bounding_box": {name: place(corner, where) for name, corner in corners.items()}}


def polygon(key: str, value: Any, where: str) -> Condition:
    """The key is a place in a polygon, not in its holes."""
    given: Mapping[str, Any] = {"exterior": value} if isinstance(value, list) else mapping(value, where)
    if not {"exterior"} <= set(given) <= {"exterior", "interiors"}:
        raise wrong(where, 'write {"exterior": [{"lat": .., "lon": ..}, ..]}, the first point once more at the end')
    rings: dict[str, Any] = {"exterior": _ring(given["exterior"], where)}
    if given.get("interiors"):
        rings["interiors"] = [_ring(ring, where) for ring in items(given["interiors"], where)]
    return {"key": key, "geo_polygon": rings}


def is_null(key: str, wanted: bool = True) -> Condition:
    """The key is there and null."""
    condition: Condition = {"is_null": {"key": key}}
    return condition if wanted else {"must_not": [condition]}


def is_empty(key: str, wanted: bool = True) -> Condition:
    """The key is missing, null or an empty list."""
    condition: Condition = {"is_empty": {"key": key}}
    return condition if wanted else {"must_not": [condition]}


def scalar(value: Any, where: str) -> str | int | bool:
    """A value Qdrant can compare with."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return whole(value, where)
    if isinstance(value, str):
        return text(value, where)
    raise wrong(where, f"a value to compare with is a string, a number or true or false, not {kind(value)}")


def whole(value: Any, where: str) -> int:
    """An integer Qdrant can hold."""
    if type(value) is not int or not -MAX_INTEGER <= value < MAX_INTEGER:
        raise wrong(where, f"must be an integer of 64 bits, not {kind(value)}")
    return value


def finite(value: Any, where: str) -> float:
    """A number that is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(where, f"must be a number, not {kind(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong(where, "must be a finite number")
    if abs(value) > MAX_INTEGER and isinstance(value, int):
        raise wrong(where, "the number is too large")
    return value


def text(value: Any, where: str) -> str:
    """A string Qdrant can be sent."""
    if not isinstance(value, str):
        raise wrong(where, f"must be a string, not {kind(value)}")
    if len(value) > MAX_TEXT:
        raise wrong(where, f"the string has {len(value)} characters; at most {MAX_TEXT} can be compared")
    if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise wrong(where, "the string is not valid Unicode (a lone surrogate)")
    return value


def flag(value: Any, where: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise wrong(where, f"must be true or false, not {kind(value)}")
    return value


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise wrong(where, f"must be an object, not {kind(value)}")
    return cast(dict[str, Any], value)


def items(value: Any, where: str) -> Sequence[Any]:
    """A list with something in it."""
    if not isinstance(value, list):
        raise wrong(where, f"must be a list, not {kind(value)}")
    values = cast(list[Any], value)
    if not values:
        raise wrong(where, "the list is empty, so nothing could match; leave the condition out instead")
    if len(values) > MAX_VALUES:
        raise wrong(where, f"the list has {len(values)} values; at most {MAX_VALUES} can be compared")
    return values


def place(value: Any, where: str) -> dict[str, float]:
    """A place on earth."""
    given = mapping(value, where)
    if set(given) != {"lat", "lon"}:
        raise wrong(where, 'a place is {"lat": 52.5, "lon": 13.4}')
    lat, lon = finite(given["lat"], where), finite(given["lon"], where)
    if abs(lat) > 90 or abs(lon) > 180:
        raise wrong(where, "lat goes from -90 to 90, lon from -180 to 180")
    return {"lat": lat, "lon": lon}


def kind(value: Any) -> str:
    """What a value is, for an error; never the whole of a large one."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"


def _matched(key: str, match: Mapping[str, Any]) -> Condition:
    return {"key": key, "match": dict(match)}


def _counts(value: Any, where: str) -> Mapping[str, Any]:
    bounds = {name: bound for name, bound in mapping(value, where).items() if bound is not None}
    if not bounds or not set(bounds) <= set(BOUNDS):
        raise wrong(where, 'write how many values: {"gte": 2}; the bounds are lt, lte, gt and gte')
    return bounds


def _bound(value: Any, where: str) -> float | str:
    if not isinstance(value, str):
        return finite(value, where)
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise wrong(where, f"{kind(value)} is neither a number nor a time such as 2026-01-31T12:00:00Z") from error
    return value


def _same_kind(bounds: dict[str, float | str], where: str) -> dict[str, float | str]:
    if len({isinstance(value, str) for value in bounds.values()}) > 1:
        raise wrong(where, "the bounds are numbers, or all of them times; not both")
    return bounds


def _ring(value: Any, where: str) -> dict[str, Any]:
    points: Any = mapping(value, where).get("points") if isinstance(value, dict) else value
    ring = [place(point, where) for point in items(points, where)]
    if len(ring) < 4 or ring[0] != ring[-1]:
        raise wrong(where, "a ring has at least 4 points, the last the same as the first")
    return {"points": ring}


def _is_long_integer(value: str) -> bool:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and 16 <= len(digits) <= 19):
        return False
    return SAFE_INTEGER < abs(int(value)) < MAX_INTEGER and str(int(value)) == value


OPERATORS: Mapping[str, Callable[[str, Any, str], Condition]] = {
    "eq": lambda key, value, where: one_of(key, value, where) if isinstance(value, list) else equal(key, value, where),
    "ne": not_equal,
    "any": one_of,
    "in": one_of,
    "none": none_of,
    "nin": none_of,
    "range": between,
    "count": counted,
    "values_count": counted,
    "near": near,
    "geo_radius": near,
    "box": box,
    "geo_bounding_box": box,
    "polygon": polygon,
    "geo_polygon": polygon,
    "null": lambda key, value, where: is_null(key, flag(value, where)),
    "is_null": lambda key, value, where: is_null(key, flag(value, where)),
    "empty": lambda key, value, where: is_empty(key, flag(value, where)),
    "is_empty": lambda key, value, where: is_empty(key, flag(value, where)),
    "exists": lambda key, value, where: is_empty(key, not flag(value, where)),
}
"""What an operator of the simple form does; those on texts and bounds stand apart."""
