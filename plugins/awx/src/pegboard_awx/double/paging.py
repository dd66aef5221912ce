"""Pages: a part of a list, with links to the parts before and after it."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from pegboard_awx.double.filtering import Pairs
from pegboard_awx.double.kinds import Row
from pegboard_awx.double.refusals import error

DEFAULT_SIZE = 25
MAX_SIZE = 200


def page(path: str, rows: Sequence[Row], pairs: Pairs, show: Callable[[Row], Any]) -> dict[str, Any]:
    """The page that is asked for, each row as `show` makes it."""
    asked = dict(pairs)
    size = _size(asked.get("page_size", ""))
    number = _number(asked.get("page", "1"), len(rows), size)
    results = [show(row) for row in rows[(number - 1) * size : number * size]]
    if asked.get("count_disabled") == "true":
        return {"results": results}
    last = max(1, -(-len(rows) // size))
    return {
        "count": len(rows),
        "next": _link(path, pairs, number + 1) if number < last else None,
        "previous": _link(path, pairs, number - 1) if number > 1 else None,
        "results": results,
    }


def _size(text: str) -> int:
    size = int(text) if text.isdecimal() else DEFAULT_SIZE
    return min(size or DEFAULT_SIZE, MAX_SIZE)


def _number(text: str, count: int, size: int) -> int:
    last = max(1, -(-count // size))
    if text == "last":
        return last
    if not text.isdecimal() or not 1 <= int(text) <= last:
        raise error("Invalid page.")
    return int(text)


def _link(path: str, pairs: Pairs, number: int) -> str:
    kept = [(name, text) for name, text in pairs if name not in ("page", "page_size")]
    sizes = [(name, text) for name, text in pairs if name == "page_size"]
    return f"{path}?{urlencode([*kept, ('page', str(number)), *sizes])}"
