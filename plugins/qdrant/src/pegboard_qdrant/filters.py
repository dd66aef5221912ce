"""The filter language: a simple mapping or Qdrant's own form, checked, and written out in Qdrant's JSON.

    {"city": "Rome", "price": {"gte": 5, "lt": 20}, "tags": {"any": ["new", "sale"]}, "not": {"sold": true}}

Keys of one object hold together; `or`, `and` and `not` combine objects. A mistake is one line that says where.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pegboard import ToolError
from pegboard_qdrant import conditions
from pegboard_qdrant.conditions import BOUNDS, OPERATORS, TEXTS, Condition, items, mapping, wrong
from pegboard_qdrant.names import MAX_SHOWN, payload_path, shown, unknown
from pegboard_qdrant.values import given_id

MAX_DEPTH = 10
MAX_CONDITIONS = 200

CLAUSES = ("must", "should", "must_not", "min_should")
COMBINERS = ("and", "or", "not")
MATCHES = ("value", "any", "except", *TEXTS)
FIELD_WORDS = (
    "match", "range", "geo_radius", "geo_bounding_box", "geo_polygon", "values_count", "is_null", "is_empty",
)  # fmt: skip
"""What may stand beside `key` in a condition of Qdrant's own form."""
KEYLESS = ("has_id", "has_vector", "is_null", "is_empty", "nested")
"""Conditions of Qdrant's own form that have no `key` beside them."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A checked filter: what Qdrant gets, and the payload keys it asks for, with those around them."""

    json: Condition
    keys: tuple[str, ...]


def parse(given: Mapping[str, Any] | None) -> Filter | None:
    """The filter, or `None` for one that says nothing; raises `ToolError` for the first mistake."""
    if not given:
        return None
    reader = _Reader()
    condition = reader.object(given, "", 0)
    return Filter(_as_filter(condition), tuple(dict.fromkeys(reader.keys)))


@dataclass(slots=True)
class _Reader:
    """Reads one filter; `parent` is the key of the nested objects it is in, `keys` what it has met."""

    parent: str = ""
    keys: list[str] = field(default_factory=list[str])
    count: int = 0

    def object(self, given: Mapping[str, Any], where: str, depth: int, in_clause: bool = False) -> Condition:
        """Any object: a filter or a condition in either form."""
        self._spend(where, depth)
        if set(given) & set(CLAUSES):
            return self._clauses(given, where, depth)
        # Outside of a clause, `key` alone may be a payload key of that name.
        if "key" in given and (in_clause or set(given) & set(FIELD_WORDS)):
            return self._field(given, where)
        if len(given) == 1 and set(given) <= set(KEYLESS) and self._is_keyless(given):
            return self._keyless(given, where, depth)
        return self._simple(given, where, depth)

    def _spend(self, where: str, depth: int) -> None:
        self.count += 1
        if depth > MAX_DEPTH:
            raise wrong(where[:MAX_SHOWN], f"it is nested more than {MAX_DEPTH} deep; a flat one says the same")
        if self.count > MAX_CONDITIONS:
            raise wrong("", f'it has more than {MAX_CONDITIONS} conditions; put values into one {{"any": [...]}}')

    # The simple form

    def _simple(self, given: Mapping[str, Any], where: str, depth: int) -> Condition:
        parts = [part for key, value in given.items() for part in self._entry(key, value, _join(where, key), depth)]
        if not parts:
            raise wrong(where, "an empty object says nothing; leave it out")
        return _all(parts)

    def _entry(self, key: str, value: Any, where: str, depth: int) -> list[Condition]:
        if key in COMBINERS:
            return [self._combined(key, value, where, depth)]
        if key in ("has_id", "has_vector"):
            return [self._keyless({key: value}, where, depth)]
        name = self._key(key, where)
        if isinstance(value, dict):
            return self._operators(name, cast(dict[str, Any], value), where, depth)
        self._spend(where, depth)
        if value is None:
            return [conditions.is_null(name)]
        return [OPERATORS["eq"](name, value, where)]

    def _combined(self, word: str, value: Any, where: str, depth: int) -> Condition:
        given: Sequence[Any] = items(value, where) if isinstance(value, list) else [value]
        parts = [
            self.object(mapping(part, where), f"{where}[{place}]" if len(given) > 1 else where, depth + 1)
            for place, part in enumerate(given)
        ]
        return {{"and": "must", "or": "should", "not": "must_not"}[word]: parts}

    def _operators(self, key: str, given: Mapping[str, Any], where: str, depth: int) -> list[Condition]:
        given = {name.removeprefix("$"): value for name, value in given.items()}
        if not given:
            raise wrong(where, "an empty object says nothing; write a value, or an operator such as lt or any")
        bounds = {name: value for name, value in given.items() if name in BOUNDS}
        ranged = [conditions.between(key, bounds, where)] if bounds else []
        others = [
            self._operator(key, name, value, f"{where}.{name}", depth)
            for name, value in given.items()
            if name not in bounds
        ]
        return ranged + others

    def _operator(self, key: str, name: str, value: Any, where: str, depth: int) -> Condition:
        self._spend(where, depth)
        if name in OPERATORS:
            return OPERATORS[name](key, value, where)
        if name in TEXTS:
            return conditions.matching(key, name, value, where)
        if name == "nested":
            return self._nested(key, value, where, depth)
        if name == "not":
            return {"must_not": [_all(self._operators(key, mapping(value, where), where, depth + 1))]}
        if name == "match":
            return self._match(key, value, where)
        known = {*OPERATORS, *TEXTS, *BOUNDS, "nested", "not"} - {*FIELD_WORDS, "in", "nin"}
        raise wrong(where.removesuffix(f".{name}"), unknown("no operator is called", name, known))

    # Qdrant's own form

    def _clauses(self, given: Mapping[str, Any], where: str, depth: int) -> Condition:
        result: Condition = {}
        for name, value in given.items():
            if name not in CLAUSES:
                raise wrong(where, unknown("beside must, should and must_not there is no", name, CLAUSES))
            if name == "min_should":
                result[name] = self._min_should(value, _join(where, name), depth)
            elif value is not None and (value != [] or len(given) == 1):
                result[name] = self._list(value, _join(where, name), depth)
        return result

    def _list(self, value: Any, where: str, depth: int) -> list[Condition]:
        given: Sequence[Any] = items(value, where) if isinstance(value, list) else [value]
        places = (f"{where}[{place}]" for place in range(len(given)))
        return [self.object(mapping(part, at), at, depth + 1, True) for part, at in zip(given, places, strict=True)]

    def _min_should(self, value: Any, where: str, depth: int) -> Condition:
        given = mapping(value, where)
        if set(given) != {"conditions", "min_count"}:
            raise wrong(where, 'write {"conditions": [...], "min_count": 2}')
        count = conditions.whole(given["min_count"], _join(where, "min_count"))
        return {"conditions": self._list(given["conditions"], where, depth), "min_count": max(0, count)}

    def _field(self, given: Mapping[str, Any], where: str) -> Condition:
        name = self._key(conditions.text(given["key"], _join(where, "key")), where)
        words = {word: value for word, value in given.items() if word != "key" and value is not None}
        for word in words:
            if word not in FIELD_WORDS:
                raise wrong(where, unknown("beside key there is no", word, FIELD_WORDS))
        if len(words) != 1:
            raise wrong(where, f"key {name!r} needs exactly one condition beside it: {', '.join(FIELD_WORDS)}")
        ((word, value),) = words.items()
        at = _join(where, word)
        return self._match(name, value, at) if word == "match" else OPERATORS[word](name, value, at)

    def _match(self, key: str, value: Any, where: str) -> Condition:
        given = mapping(value, where)
        if len(given) != 1:
            raise wrong(where, f"match needs exactly one of {', '.join(MATCHES)}")
        ((word, wanted),) = given.items()
        if word == "value":
            return {"key": key, "match": {"value": conditions.scalar(wanted, where)}}
        if word == "any":
            return conditions.one_of(key, wanted, where)
        if word == "except":
            return conditions.none_of(key, wanted, where)
        if word in TEXTS:
            return conditions.matching(key, word, wanted, where)
        raise wrong(where, unknown("match has no", word, MATCHES))

    def _is_keyless(self, given: Mapping[str, Any]) -> bool:
        ((word, value),) = given.items()
        inner = set(cast(dict[str, Any], value)) if isinstance(value, dict) else set[str]()
        if word in ("has_id", "has_vector"):
            return True
        return inner == ({"key", "filter"} if word == "nested" else {"key"})

    def _keyless(self, given: Mapping[str, Any], where: str, depth: int) -> Condition:
        ((word, value),) = given.items()
        if word == "has_id":
            ids: Sequence[Any] = items(value, where) if isinstance(value, list) else [value]
            return {"has_id": [given_id(one, "filter: has_id") for one in ids]}
        if word == "has_vector":
            return {"has_vector": conditions.text(value, where)}
        key = self._key(conditions.text(value["key"], where), where)
        if word == "nested":
            return self._nested(key, value["filter"], where, depth)
        return {word: {"key": key}}

    # Both

    def _nested(self, key: str, value: Any, where: str, depth: int) -> Condition:
        outer, self.parent = self.parent, f"{self.parent}{key.removesuffix('[]')}[]."
        try:
            inner = self.object(mapping(value, where), where, depth + 1)
        finally:
            self.parent = outer
        return {"nested": {"key": key, "filter": _as_filter(inner)}}

    def _key(self, key: str, where: str) -> str:
        try:
            path = payload_path(key)
        except ToolError as error:
            raise wrong(where, str(error)) from error
        self.keys.append(f"{self.parent}{path}")
        return path


def _as_filter(condition: Condition) -> Condition:
    return condition if set(condition) <= set(CLAUSES) else {"must": [condition]}


def _all(parts: list[Condition]) -> Condition:
    return parts[0] if len(parts) == 1 else {"must": parts}


def _join(where: str, name: str) -> str:
    name = name if name.isprintable() and len(name) <= MAX_SHOWN else shown(name)
    return f"{where}.{name}" if where else name
