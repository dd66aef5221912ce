"""Fitting: how much of an answer a client can take, and how the rest is cut off without breaking its JSON. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from pydantic_core import to_json

from pegboard.rows import Limits

PIECE = re.compile(
    r"[A-Z]?[a-z]{1,5}|[A-Z]{1,2}|[0-9]{1,3}|[^\sA-Za-z0-9\x80-\U0010ffff]{1,2}|\s{2,}"
    r"|[\x80-\u07ff]{1,2}|[\u3040-\u9fff\uac00-\ud7af]|[\u0800-\U0010ffff]"
)
RARE = re.compile(r"[\u0800-\u303f\ua000-\uabff\ud800-\U0010ffff]")
MOST_TOKENS_PER_BYTE = 0.7
"""What random letters cost, the worst of what data is made of."""

SHORTEST_CELL = 60
MAX_ROUNDS = 40


def estimate(text: str) -> int:
    """The tokens of a JSON text: words, groups of digits, signs. Within a third of what o200k counts for data."""
    return len(PIECE.findall(text)) + (0 if text.isascii() else len(RARE.findall(text)))


def fits(text: str, limits: Limits) -> bool:
    """Whether a text stays within the limits."""
    if len(text) * 4 > limits.bytes and len(text.encode(errors="replace")) > limits.bytes:
        return False
    return len(text) * MOST_TOKENS_PER_BYTE <= limits.tokens or estimate(text) <= limits.tokens


def shorten(text: str, length: int) -> str:
    """The beginning of a text, and how many characters it lacks."""
    return text if len(text) <= length else f"{text[:length]}…(+{len(text) - length} chars)"


def shortened(value: Any, length: int) -> Any:
    """A JSON value with every string in it shortened."""
    if isinstance(value, str):
        return shorten(value, length)
    if isinstance(value, dict):
        return {key: shortened(inner, length) for key, inner in cast(dict[str, Any], value).items()}
    return [shortened(inner, length) for inner in cast(list[Any], value)] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Fitted:
    """A JSON value that fits, and what had to go for it."""

    value: Any
    text: str
    cut: str | None = None
    """Where a list ends early that is read on with the cursor: `tables`, or `result.0.items`."""
    rest: tuple[Any, ...] = ()
    """What that list goes on with."""
    length: int | None = None
    """To how many characters long strings were shortened."""
    dropped: int = 0
    """How many items of further lists and mappings were left out for good."""


def fit(value: Any, limits: Limits) -> Fitted:
    """Make a JSON value fit: shorten its long strings, then its largest list, then whatever is still too large."""
    text = dump(value)
    if fits(text, limits):
        return Fitted(value, text)
    return _Cutting(value, limits).run()


def dump(value: Any) -> str:
    """A JSON value as text; raises `ValueError` for what is no Unicode."""
    return to_json(value, inf_nan_mode="null").decode()


def readable(value: Any) -> Any:
    """A value whose strings are all Unicode: half a surrogate pair becomes a question mark, bytes become text."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, dict):
        return {readable(key): readable(inner) for key, inner in cast(dict[Any, Any], value).items()}
    return [readable(inner) for inner in cast(list[Any], value)] if isinstance(value, list | tuple) else value


class _Cutting:
    """One value on its way to a size: works on a copy, in rounds, and remembers what it took away."""

    def __init__(self, value: Any, limits: Limits) -> None:
        self._limits = limits
        self._length = limits.cell
        self._value = shortened(value, limits.cell)
        self._has_shortened = self._value != value
        self._cut: tuple[Any, ...] | None = None
        self._rest: list[Any] = []
        self._dropped = 0

    def run(self) -> Fitted:
        text = dump(self._value)
        for _ in range(MAX_ROUNDS):
            if fits(text, self._limits) or not self._reduce():
                break
            text = dump(self._value)
        return Fitted(
            self._value,
            text,
            None if self._cut is None else ".".join(map(str, self._cut)),
            tuple(self._rest),
            self._length if self._has_shortened else None,
            self._dropped,
        )

    def _reduce(self) -> bool:
        """Take something away; returns whether there was anything."""
        largest = _largest_list(self._value)
        if largest is None and self._length > SHORTEST_CELL:
            self._shorten()
            return True
        largest = _longest_mapping(self._value) if largest is None else largest
        if largest is not None:
            self._shrink(largest)
        return largest is not None

    def _shorten(self) -> None:
        self._length = max(SHORTEST_CELL, self._length // 4)
        before, self._value = self._value, shortened(self._value, self._length)
        self._has_shortened = self._has_shortened or before != self._value

    def _shrink(self, path: tuple[Any, ...]) -> None:
        """Keep as many items of the list or mapping at `path` as there is room for, one at least and not all."""
        container = cast("list[Any] | dict[str, Any]", _at(self._value, path))
        is_list = isinstance(container, list)
        items: list[Any] = container[:] if isinstance(container, list) else list(container.items())
        container.clear()
        keep = _room([dump(item) for item in items], dump(self._value), self._limits)
        (container.extend if isinstance(container, list) else container.update)(items[:keep])
        if is_list and self._cut in (None, path):
            self._cut, self._rest = path, [*items[keep:], *self._rest]
        else:
            self._dropped += len(items) - keep


def _largest_list(value: Any) -> tuple[Any, ...] | None:
    """The path of the list that takes most."""
    containers = _containers(value, ())
    found = [(len(to_json(inner, inf_nan_mode="null")), path) for path, inner in containers if type(inner) is list]
    return max(found, key=lambda item: (item[0], -len(item[1])))[1] if found else None


def _longest_mapping(value: Any) -> tuple[Any, ...] | None:
    """The path of the mapping with most keys, since one with few may need them; never the answer itself."""
    containers = _containers(value, ())
    found = [(len(cast(dict[str, Any], inner)), path) for path, inner in containers if path and type(inner) is dict]
    return max(found, key=lambda item: (item[0], -len(item[1])))[1] if found else None


def _containers(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every list and mapping with at least two items, with its path."""
    if not isinstance(value, (dict, list)):
        return
    container = cast("dict[str, Any] | list[Any]", value)
    if len(container) > 1:
        yield path, container
    items = container.items() if isinstance(container, dict) else enumerate(container)
    for key, inner in items:
        yield from _containers(inner, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _room(items: list[str], bare: str, limits: Limits) -> int:
    """How many items can stay beside `bare`, at least one and at most all but one."""
    tokens, size = limits.tokens - estimate(bare), limits.bytes - len(bare.encode())
    for kept, item in enumerate(items[:-1]):
        tokens, size = tokens - estimate(item) - 1, size - len(item.encode()) - 1
        if min(tokens, size) < 0:
            return max(1, kept)
    return len(items) - 1
