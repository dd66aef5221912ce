"""What the user reads before a change is committed."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pegboard_postgres.changes import Change
from pegboard_postgres.values import shorten

if TYPE_CHECKING:
    from pegboard_postgres.captures import RowChange
    from pegboard_postgres.touched import Touched
    from pegboard_postgres.writing import Written

MAX_SQL = 600
MAX_ROW = 400
MAX_RETURNED = 5

VERBS = {"INSERT": "insert", "UPDATE": "update", "DELETE": "delete", "MERGE": "change"}
SIDES = ("inserted", "updated", "deleted")


def preview(change: Change, written: "Written", params: Sequence[Any], environment: str, *, rows: bool) -> str:
    """The question: how much changes, what is striking about it, a few rows if wanted, and the statement."""
    where = "" if environment == "default" else f" in {environment}"
    lines = [f"{VERBS[change.command].capitalize()} {_rows(written['rows'])} of {written['table']}{where}?"]
    lines += [f"WARNING: no WHERE, so EVERY row of {table} is affected." for table in change.unfiltered]
    lines += [f"Also, by cascades or triggers: {_touched(other)}." for other in written.get("also_changed", [])]
    if rows:
        lines += [_example(row) for row in written.get("sample", [])]
        lines += [f"returns {_json(row)}" for row in written.get("returned", [])[:MAX_RETURNED]]
    lines += [f"SQL: {shorten(change.statement.text.strip(), MAX_SQL)}"]
    lines += [f"Values: {_json(params)}"] * bool(params)
    return "\n".join(lines)


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _touched(other: "Touched") -> str:
    counts = ", ".join(f"{other[side]} {side}" for side in SIDES if other[side])
    return f"{other['table']} ({counts})"


def _example(row: "RowChange") -> str:
    before, after = row.get("before"), row.get("after")
    if before is None or after is None:
        return f"{'new' if before is None else 'gone'}: {_json(after if before is None else before)}"
    return f"{_json(before)} becomes {_json(after)}"


def _json(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False), MAX_ROW)
