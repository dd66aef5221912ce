"""Matching: which rows of an answer a filter keeps, and which of their columns. Pure."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from pegboard.errors import ToolError
from pegboard.validation import did_you_mean

Test = Callable[[Any], bool]

ITEM = "item"
"""What the value is called where a row is a single one."""


def keeps(row: Any, filter: Mapping[str, Any], names: Sequence[str] | None) -> bool:  # noqa: A002 # fetch_more's argument
    """Whether a row has what a filter says: `{"city": "Rome", "price": {"lt": 20}}`.

    Raises `ToolError` for a column the rows do not have, or a comparison that does not exist.
    """
    fields = named(row, names)
    return all(_test(name, wanted)(_field(fields, name)) for name, wanted in filter.items())


def named(row: Any, names: Sequence[str] | None) -> Mapping[str, Any]:
    """The values of a row by name."""
    if names is not None:
        return dict(zip(names, row, strict=False))
    return cast(dict[str, Any], row) if isinstance(row, dict) else {ITEM: row}


def chosen(row: Any, columns: Sequence[str], names: Sequence[str] | None) -> Any:
    """The row with these columns only, in this order."""
    fields = named(row, names)
    if names is None:
        return {name: fields[name] for name in columns if name in fields} if isinstance(row, dict) else row
    return [_field(fields, name) for name in columns]


def _field(fields: Mapping[str, Any], name: str) -> Any:
    try:
        return fields[name]
    except KeyError:
        known = ", ".join(fields)
        hint = did_you_mean(name, fields) or f"there are {known}"
        raise ToolError(f"the rows have no column {name[:100]!r}; {hint}") from None


def _test(name: str, wanted: Any) -> Test:
    if not isinstance(wanted, dict):
        return lambda value: _equal(value, wanted)
    tests = [_comparison(name, kind, operand) for kind, operand in cast(dict[str, Any], wanted).items()]
    return lambda value: all(test(value) for test in tests)


def _comparison(name: str, kind: str, operand: Any) -> Test:
    if kind in ORDERS:
        order = ORDERS[kind]
        return lambda value: (sign := _compare(value, operand)) is not None and order(sign)
    match kind:
        case "ne":
            return lambda value: not _equal(value, operand)
        case "in" if isinstance(operand, list):
            return lambda value: any(_equal(value, one) for one in cast(list[Any], operand))
        case "contains":
            return lambda value: str(operand).casefold() in str(value).casefold()
        case _:
            kinds = ", ".join([*ORDERS, "ne", "in (a list)", "contains"])
            raise ToolError(f"filter: {name} cannot be compared by {kind[:50]!r}; there are {kinds}")


ORDERS: Mapping[str, Callable[[int], bool]] = {
    "eq": lambda sign: sign == 0,
    "lt": lambda sign: sign < 0,
    "lte": lambda sign: sign <= 0,
    "gt": lambda sign: sign > 0,
    "gte": lambda sign: sign >= 0,
}


def _equal(value: Any, wanted: Any) -> bool:
    return value == wanted or _compare(value, wanted) == 0


def _compare(value: Any, wanted: Any) -> int | None:
    """Which is larger, as numbers if both can be read so; `None` for what cannot be compared."""
    if isinstance(value, str) and isinstance(wanted, str):
        return (value > wanted) - (value < wanted)
    numbers = _numbers(value, wanted)
    return None if numbers is None else (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])


def _numbers(value: Any, wanted: Any) -> tuple[Decimal, Decimal] | None:
    """Both as numbers; exact ones travel as strings, so one of the two may be one."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return None
    try:
        numbers = Decimal(str(value)), Decimal(str(wanted))
    except InvalidOperation:
        return None
    return None if any(number.is_nan() for number in numbers) else numbers
