"""From what Qdrant stores to what an answer can carry, and ids both ways, losing nothing.

Integers beyond 2^53 are strings, since many clients read JSON numbers as doubles; so are NaN and infinities, which
JSON does not know. An id that was sent as a string of digits is the integer again when it comes back.
"""

import json
import math
from typing import Any, cast
from uuid import UUID

from pegboard import ToolError

MAX_INTEGER = 2**53
MAX_ID = 2**64 - 1
MAX_DEPTH = 30
"""Values nested deeper are sent as JSON text, since clients and serializers give up on them."""

PointId = int | str


def plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON can carry it."""
    if isinstance(value, list | tuple | dict):
        return _nested(value, depth)
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) <= MAX_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else _words(value)
    return str(value)


def point_id(value: PointId | UUID) -> PointId:
    """An id as an answer carries it."""
    return plain(value)


def given_id(value: Any, what: str = "id") -> PointId:
    """An id as Qdrant knows it: an unsigned integer, also one in a string, or a UUID; raises `ToolError` otherwise."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(MAX_ID)):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ID:
        return value
    if isinstance(value, str):
        try:
            return str(UUID(value))
        except ValueError:
            pass
    raise ToolError(f"{what} {_shown(value)} is no id of a point; an id is an integer from 0 to 2^64-1 or a UUID")


def _nested(value: Any, depth: int) -> Any:
    if depth == MAX_DEPTH:
        return _text(value)
    if isinstance(value, dict):
        return {plain(str(key)): plain(item, depth + 1) for key, item in cast(dict[Any, Any], value).items()}
    return [plain(item, depth + 1) for item in cast(list[Any], value)]


def _text(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=True, default=str)
    except RecursionError:
        return "(a value nested too deeply to be shown)"


def _words(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
