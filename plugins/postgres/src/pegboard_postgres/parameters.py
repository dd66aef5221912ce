"""JSON values as parameters: each goes as text, and PostgreSQL converts it to the type its place wants.

A `$1` becomes `($1::text::int4)`, so dates, numbers, uuids or enums are understood exactly as in a literal, and a
model that sends `"5"` for 5 gets what it meant.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

from pegboard import ToolError
from pegboard_postgres.driver import Type
from pegboard_postgres.safety.statement import Statement

MAX_EXACT_FLOAT = 2**53

Write = Callable[[Any], str]


def with_casts(statement: Statement, types: Sequence[Type]) -> str:
    """The text of the statement with every parameter taken as text and converted to its type."""
    pieces: list[str] = []
    position = 0
    for token in statement.parameters:
        number = int(token.text[1:])
        pieces += [statement.text[position : token.start], f"(${number}::text::{_name(types[number - 1])})"]
        position = token.end
    return "".join([*pieces, statement.text[position:]])


def encode(values: Sequence[Any], types: Sequence[Type]) -> list[str | None]:
    """The values as PostgreSQL reads them; raises `ToolError` when there are too many or too few."""
    if len(values) != len(types):
        raise ToolError(f"sql has {_count(len(types))} and params has {len(values)} values; give one value for each")
    return [_text(value, type_) for value, type_ in zip(values, types, strict=True)]


def _count(parameters: int) -> str:
    if parameters == 0:
        return "no parameters ($1, $2, ...)"
    return "1 parameter ($1)" if parameters == 1 else f"{parameters} parameters ($1 to ${parameters})"


def _name(type_: Type) -> str:
    element = type_.name.removesuffix("[]")
    brackets = type_.name[len(element) :]
    return f"{_quote(type_.schema)}.{_quote(element)}{brackets}"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: Any, type_: Type) -> str | None:
    if value is None:
        return None
    element = type_.name.removesuffix("[]")
    write = _document if element in ("json", "jsonb") else _scalar
    if element == type_.name:
        return write(value)
    # An array literal begins with {, so a string that is a JSON list can only be meant as one.
    items = _parsed(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    return _array(cast(list[Any], items), write) if isinstance(items, list) else _scalar(value)


def _document(value: Any) -> str:
    """A JSON value; a string that is JSON text stands for what it says."""
    return value if isinstance(value, str) and _parsed(value) is not None else json.dumps(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_EXACT_FLOAT:
        return str(int(value))
    return json.dumps(value)


def _array(items: list[Any], write: Write) -> str:
    return "{" + ",".join(_item(item, write) for item in items) + "}"


def _item(item: Any, write: Write) -> str:
    if item is None:
        return "NULL"
    if isinstance(item, list) and write is _scalar:
        return _array(cast(list[Any], item), write)
    return '"' + write(item).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parsed(text: str) -> Any:
    """The JSON value in a string, or `None` if there is none; JSON's null counts as one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return "null" if value is None else value
