"""Matching: which rows of an answer a filter keeps, and which of their columns. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from pegboard.errors import ToolError
from pegboard.fitting import dump
from pegboard.validation import did_you_mean

Test = Callable[[Any], bool]
Change = Callable[[Any], Any]

ITEM = "item"
"""What the value is called where a row is a single one."""


def keeper(wanted: Mapping[str, Any], names: Sequence[str] | None, first: Any) -> Test:
    """Tells whether a row has what a filter says: `{"city": "Rome", "price": {"lt": 20}}`.

    Raises `ToolError` for a comparison that does not exist, or a column that `first`, the first row, does not have.
    """
    _check_names(wanted, names, first)
    tests = [(name, _test(name, value)) for name, value in wanted.items()]

    def keeps(row: Any) -> bool:
        fields = named(row, names)
        return all(test(fields.get(name)) for name, test in tests)

    return keeps


def chooser(columns: Sequence[str], names: Sequence[str] | None, first: Any) -> Change:
    """Makes of a row one with these columns only, in this order; raises `ToolError` for one there is not."""
    if names is None:
        return lambda row: _part(cast(dict[str, Any], row), columns) if isinstance(row, dict) else row
    _check_names(columns, names, first)
    places = {name: place for place, name in enumerate(names)}
    wanted = [places[name] for name in columns]
    return lambda row: [row[place] for place in wanted]


def named(row: Any, names: Sequence[str] | None) -> Mapping[str, Any]:
    """The values of a row by name."""
    if names is not None:
        return dict(zip(names, row, strict=False))
    return cast(dict[str, Any], row) if isinstance(row, dict) else {ITEM: row}


def _part(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in columns if name in row}


def _check_names(wanted: Iterable[str], names: Sequence[str] | None, first: Any) -> None:
    known = named(first, names)
    for name in wanted:
        if name not in known:
            hint = did_you_mean(name[:100], known) or f"there are {', '.join(known)}"
            raise ToolError(f"the rows have no column {name[:100]!r}; {hint}")


def _test(name: str, wanted: Any) -> Test:
    if not isinstance(wanted, dict):
        return _equals(wanted)
    tests = [_comparison(name, kind, operand) for kind, operand in cast(dict[str, Any], wanted).items()]
    return lambda value: all(test(value) for test in tests)


def _comparison(name: str, kind: str, operand: Any) -> Test:
    if kind in ORDERS:
        order, compare = ORDERS[kind], _comparer(operand)
        return lambda value: (sign := compare(value)) is not None and order(sign)
    match kind:
        case "ne":
            equals = _equals(operand)
            return lambda value: not equals(value)
        case "in" if isinstance(operand, list):
            return _one_of(cast(list[Any], operand))
        case "contains":
            part = _folded(operand)
            return lambda value: part in _folded(value)
        case _:
            kinds = ", ".join([*ORDERS, "ne", "in (a list)", "contains"])
            raise ToolError(f"filter: {name[:100]} cannot be compared by {kind[:50]!r}; there are {kinds}")


ORDERS: Mapping[str, Callable[[int], bool]] = {
    "eq": lambda sign: sign == 0,
    "lt": lambda sign: sign < 0,
    "lte": lambda sign: sign <= 0,
    "gt": lambda sign: sign > 0,
    "gte": lambda sign: sign >= 0,
}


def _equals(wanted: Any) -> Test:
    compare = _comparer(wanted)
    return lambda value: value == wanted or compare(value) == 0


def _one_of(wanted: list[Any]) -> Test:
    """Equal to one of these; looked up and not compared one by one, since they and the rows may be many."""
    texts = {one for one in wanted if isinstance(one, str)}
    spelled = {number for one in wanted if isinstance(one, str) and (number := _number(one)) is not None}
    numbers = {number for one in wanted if not isinstance(one, str) and (number := _number(one)) is not None}
    others = {dump(one) for one in wanted if isinstance(one, bool | list | dict) or one is None}

    def test(value: Any) -> bool:
        number = _number(value)
        if isinstance(value, str):
            return value in texts or number in numbers
        return number in numbers or number in spelled if number is not None else dump(value) in others

    return test


def _comparer(wanted: Any) -> Callable[[Any], int | None]:
    """Which of a value and this is larger, as numbers if both can be read so; `None` for what cannot be compared."""
    number = _number(wanted)

    def compare(value: Any) -> int | None:
        if isinstance(value, str) and isinstance(wanted, str):
            return (value > wanted) - (value < wanted)
        other = None if number is None else _number(value)
        return None if number is None or other is None else (other > number) - (other < number)

    return compare


def _number(value: Any) -> Decimal | None:
    """The value as a number; exact ones travel as strings, so a string may be one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        return None
    return None if number.is_nan() else number


def _folded(value: Any) -> str:
    try:
        return str(value).casefold()
    except ValueError:  # an integer of thousands of digits
        return "…"
