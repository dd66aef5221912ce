"""From what PostgreSQL sends to the cells of an answer, a column at a time, losing nothing.

A number stays a JSON number if every client reads the same value from it; otherwise it is a string with PostgreSQL's
own digits: numeric always, integers beyond 2^53, and fractions a double cannot hold.
"""

import json
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from math import isfinite, isnan
from typing import Any, cast

from pydantic_core import from_json

from pegboard import ToolError

MAX_INTEGER = 2**53
MAX_INTEGER_DIGITS = len(str(-MAX_INTEGER))
MAX_DEPTH = 30
"""Values nested deeper are sent as JSON text, since clients and serializers give up on them."""

# Fifteen digits always fit into a double. Half a surrogate pair is for the careful reader too.
RISKY = re.compile(r"[0-9.]{16}|[0-9][eE]|\\u[dD]")
HALF_A_PAIR = re.compile(r"\\u[dD]")


def integers(column: list[Any]) -> list[Any]:
    """Those beyond 2^53 as strings."""
    if all(value is None or -MAX_INTEGER <= value <= MAX_INTEGER for value in column):
        return column
    return [value if value is None or abs(value) <= MAX_INTEGER else str(value) for value in column]


def floats(column: list[Any]) -> list[Any]:
    """NaN and the infinities as strings, in PostgreSQL's words."""
    if all(value is None or isfinite(value) for value in column):
        return column
    return [value if value is None or isfinite(value) else _infinite(value) for value in column]


def _infinite(value: float) -> str:
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def documents(column: list[str | None]) -> Sequence[Any]:
    """The values of JSON texts that may hold any number."""
    return _parsed(column, RISKY)


def doubles(column: list[str | None]) -> Sequence[Any]:
    """The values of JSON texts whose numbers are all doubles, so that none can lose a digit."""
    return _parsed(column, HALF_A_PAIR)


def _parsed(column: list[str | None], careful: re.Pattern[str]) -> Sequence[Any]:
    """All at once if nothing in them needs care, otherwise one by one."""
    text = "[" + ",".join(["null" if text is None else text for text in column]) + "]"
    if careful.search(text) is None and not _are_deep(column):
        return cast(list[Any], from_json(text))
    return [None if text is None else document(text) for text in column]


def _are_deep(texts: Iterable[str | None]) -> bool:
    return any(text is not None and text.count("[") + text.count("{") > MAX_DEPTH for text in texts)


class _Fraction(str):
    """A number with a point or an exponent, in PostgreSQL's digits."""

    __slots__ = ()


def _integer(text: str) -> int | float | str:
    if text == "-0":
        return -0.0
    return text if len(text) > MAX_INTEGER_DIGITS or abs(int(text)) > MAX_INTEGER else int(text)


_decode = json.JSONDecoder(parse_float=_Fraction, parse_int=_integer).decode


def document(text: str) -> Any:
    """The value of a JSON text, as JSON can carry it."""
    try:
        return _plain(_decode(text))
    except RecursionError as error:
        raise ToolError("a value is nested too deeply to be read as JSON; select it as text (value::text)") from error


def _plain(value: Any, depth: int = 0) -> Any:
    if isinstance(value, _Fraction):
        return _number(value)
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if not isinstance(value, list | dict):
        return value
    if depth == MAX_DEPTH:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in cast(list[Any], value)]
    return {_plain(key): _plain(item, depth + 1) for key, item in cast(dict[str, Any], value).items()}


def _number(digits: str) -> float | str:
    number = float(digits)
    return number if Decimal(repr(number)) == Decimal(digits) else str(digits)


def shorten(text: str, limit: int) -> str:
    """A text of at most `limit` characters, and how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}…(+{len(text) - limit} chars)"
