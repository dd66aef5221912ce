"""What is known of the collections of one Qdrant: their shapes, and the payload keys a sample of points has."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from pegboard import ToolError
from pegboard_qdrant import driver, failures, values
from pegboard_qdrant.driver import Client
from pegboard_qdrant.names import collection_name, plain_key, unknown
from pegboard_qdrant.shape import Shape, shape_of

SHAPE_SECONDS = 10.0
KEYS_SECONDS = 60.0
MAX_KNOWN = 200
SAMPLED = 100
MAX_KEYS = 200
MAX_KEY_DEPTH = 5
MAX_ITEMS = 20
EXAMPLES = 3
EXAMPLE_LENGTH = 80

T = TypeVar("T")


@dataclass(slots=True)
class Key:
    """A payload key: the types of its values, some of them, and how many of the sampled points have it."""

    types: set[str] = field(default_factory=set[str])
    examples: list[Any] = field(default_factory=list[Any])
    points: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """The payload keys of some points at random, by path (`offers[].price`); complete if those were all points."""

    points: int
    is_complete: bool
    keys: Mapping[str, Key]

    def has(self, path: str) -> bool:
        """Whether one of the points has the key, by any way to write it."""
        known, plain = {plain_key(key) for key in self.keys}, plain_key(path)
        return not known.isdisjoint((plain, plain.replace("[]", ""), plain.removesuffix("[]")))


class Catalogue:
    """Looks collections up and remembers them for some seconds; wrong names raise a `ToolError` with the right one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._shapes: _Remembered[Shape] = _Remembered(SHAPE_SECONDS)
        self._samples: _Remembered[Sample] = _Remembered(KEYS_SECONDS)

    async def shape(self, name: str, *, fresh: bool = False) -> Shape:
        """The collection's shape, at most 10 seconds old; read now if it must be `fresh`."""
        name = collection_name(name)
        if fresh:
            self._shapes.forget(name)
        return await self._shapes.get(name, self._describe)

    async def sample(self, name: str) -> Sample:
        """The collection's payload keys, at most a minute old."""
        return await self._samples.get(name, self._sample)

    async def _describe(self, name: str) -> Shape:
        try:
            return shape_of(name, await self._client.get_collection(name))
        except driver.errors() as error:
            if failures.status_of(error) != 404:
                raise
            raise ToolError(unknown("there is no collection", name, await self.names())) from error

    async def names(self) -> list[str]:
        """The collections there are, and their aliases."""
        found = (await self._client.get_collections()).collections
        aliases = (await self._client.get_aliases()).aliases
        return sorted({each.name for each in found} | {each.alias_name for each in aliases})

    async def _sample(self, name: str) -> Sample:
        shape = await self.shape(name)
        models = driver.models()
        found = await self._client.query_points(
            name, query=models.SampleQuery(sample=models.Sample.RANDOM), limit=SAMPLED, with_payload=True
        )
        keys: dict[str, Key] = {}
        for point in found.points:
            _add(keys, cast(dict[str, Any], point.payload or {}))
        return Sample(len(found.points), shape.points <= len(found.points) < SAMPLED, keys)


class _Remembered(Generic[T]):
    """Values by name that are good for some seconds; the oldest gives way when there are too many."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[str, tuple[float, T]] = {}

    async def get(self, name: str, find: Callable[[str], Awaitable[T]]) -> T:
        until, value = self._known.get(name, (0.0, None))
        if value is not None and time.monotonic() < until:
            return value
        found = await find(name)
        self.forget(name)
        while len(self._known) >= MAX_KNOWN:
            self.forget(next(iter(self._known)))
        self._known[name] = (time.monotonic() + self._seconds, found)
        return found

    def forget(self, name: str) -> None:
        self._known.pop(name, None)


def _add(keys: dict[str, Key], payload: dict[str, Any]) -> None:
    seen: dict[str, list[Any]] = {}
    _walk(payload, "", 0, seen)
    for path, found in seen.items():
        if path in keys or len(keys) < MAX_KEYS:
            _note(keys.setdefault(path, Key()), found)


def _walk(value: Any, path: str, depth: int, seen: dict[str, list[Any]]) -> None:
    if isinstance(value, dict) and depth < MAX_KEY_DEPTH:
        for key, item in cast(dict[str, Any], value).items():
            name = key if "." not in key else f'"{key}"'
            inner = f"{path}.{name}" if path else name
            seen.setdefault(inner, []).append(item)
            _walk(item, inner, depth + 1, seen)
    elif isinstance(value, list) and depth < MAX_KEY_DEPTH:
        for item in cast(list[Any], value)[:MAX_ITEMS]:
            _walk(item, f"{path}[]", depth + 1, seen)


def _note(key: Key, found: list[Any]) -> None:
    key.points += 1
    for value in found:
        items = cast(list[Any], value)[:MAX_ITEMS] if isinstance(value, list) else [value]
        suffix = "[]" if isinstance(value, list) else ""
        key.types.update({_type(item) + suffix for item in items} or {"list"})
        for item in items:
            _remember(key.examples, item)


def _remember(examples: list[Any], value: Any) -> None:
    if isinstance(value, dict | list) or value is None or len(examples) >= EXAMPLES:
        return
    shown = values.plain(value)
    if isinstance(shown, str) and len(shown) > EXAMPLE_LENGTH:
        shown = f"{shown[:EXAMPLE_LENGTH]}…(+{len(shown) - EXAMPLE_LENGTH} chars)"
    if shown not in examples:
        examples.append(shown)


def _type(value: Any) -> str:
    if isinstance(value, dict):
        return "geo" if set(cast(dict[str, Any], value)) == {"lat", "lon"} else "object"
    names = {bool: "bool", int: "integer", float: "float", str: "string", list: "list", type(None): "null"}
    return names.get(cast(Any, type(value)), "unknown")
