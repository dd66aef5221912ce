"""From the JSON PostgreSQL renders to the cells of an answer, losing nothing.

A number stays a JSON number if every client reads the same value from it; otherwise it is a string with PostgreSQL's
own digits: numeric always, integers beyond 2^53, and fractions a double cannot hold.
"""

import json
from decimal import Decimal
from typing import Any, cast

from pegboard import ToolError

MAX_INTEGER = 2**53
MAX_INTEGER_DIGITS = len(str(-MAX_INTEGER))
MAX_DEPTH = 30
"""Values nested deeper are sent as JSON text, since clients and serializers give up on them."""


class _Fraction(str):
    """A number with a point or an exponent, in PostgreSQL's digits."""

    __slots__ = ()


def _integer(text: str) -> int | float | str:
    if text == "-0":
        return -0.0
    return text if len(text) > MAX_INTEGER_DIGITS or abs(int(text)) > MAX_INTEGER else int(text)


_decode = json.JSONDecoder(parse_float=_Fraction, parse_int=_integer).decode


def parse(text: str) -> Any:
    """The value of a JSON text, with numbers still in PostgreSQL's digits; pass it on to `plain` or `exact`."""
    try:
        return _decode(text)
    except RecursionError as error:
        raise ToolError("a value is nested too deeply to be read as JSON; select it as text (value::text)") from error


def plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON can carry it."""
    if isinstance(value, _Fraction):
        return _number(value)
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if not isinstance(value, list | dict):
        return value
    if depth == MAX_DEPTH:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in cast(list[Any], value)]
    return {plain(key): plain(item, depth + 1) for key, item in cast(dict[str, Any], value).items()}


def exact(value: Any) -> Any:
    """The value of a numeric column, or of an array of them: every number as a string."""
    if isinstance(value, list):
        return [exact(item) for item in cast(list[Any], value)]
    return None if value is None else str(value)


def _number(digits: str) -> float | str:
    number = float(digits)
    return number if Decimal(repr(number)) == Decimal(digits) else str(digits)


def size(row: list[Any]) -> int:
    """How many bytes the row takes in an answer."""
    return len(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode())


def shorten(text: str, limit: int) -> str:
    """A text of at most `limit` characters, and how many are missing."""
    return text if len(text) <= limit else f"{text[:limit]}…(+{len(text) - limit} chars)"
