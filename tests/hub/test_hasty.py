"""Hasty validation: what is taken is the same, and what is not taken is known by its first fault."""

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, Tag, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from pegboard.arguments import Arguments, InvalidArguments
from pegboard.hasty import FEW, are_few, hasty

MANY = 50_000
NOTHING: dict[str, Any] = {}


class Point(BaseModel):
    x: int
    tags: list[int] = []
    more: dict[str, "Point"] = {}


class Named(TypedDict):
    type: str


TYPES: list[Any] = [
    list[int],
    list[int | bool | Point],
    set[int],
    frozenset[int],
    tuple[int, ...],
    dict[str, int | bool | Point],
    dict[str, list[int]],
    list[Point],
    Point,
    Named,
    Annotated[dict[str, int], Field(max_length=3)],
    list[int] | dict[str, int] | None,
    Annotated[list[int], Tag("many")] | Annotated[int, Tag("one")],
]

json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ax", max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "tags", "more", "type"]), inner),
    max_leaves=12,
)


def answer(validate: Any, value: Any) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return ValidationError


@pytest.mark.parametrize("type_", TYPES, ids=str)
@given(value=json)
def test_it_takes_what_is_taken_otherwise(type_: Any, value: Any) -> None:
    adapter = TypeAdapter[Any](type_)

    assert answer(hasty(adapter.core_schema).validate_python, value) == answer(adapter.validate_python, value)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (list[int], ["x"] * MANY),
        (list[int | bool | Point], ["x"] * MANY),
        (set[int], [f"x{number}" for number in range(MANY)]),
        (tuple[int, ...], ["x"] * MANY),
        (dict[str, int | bool | Point], {str(number): "x" for number in range(MANY)}),
        (list[Point], [{"x": 1, "tags": ["x"] * MANY}]),
        (Point, {"x": 1, "tags": ["x"] * MANY}),
        (Point, {"x": 1, "more": {str(number): NOTHING for number in range(MANY)}}),
    ],
)
def test_a_body_of_wrong_values_is_given_up_at_once(type_: Any, value: Any) -> None:
    """S-33: a list of as many values as a body has room for kept everybody else waiting for 5 s."""
    with pytest.raises(ValidationError) as raised:
        hasty(TypeAdapter[Any](type_).core_schema).validate_python(value)

    assert raised.value.error_count() <= 4


@pytest.mark.parametrize(
    ("value", "few"),
    [
        (1, True),
        ("x" * FEW * 2, True),
        ([], True),
        ([0] * FEW, True),
        ([0] * (FEW + 1), False),
        ({str(number): 0 for number in range(FEW + 1)}, False),
        ([[0] * (FEW // 2), {"a": [0] * (FEW // 2)}], False),
        ({"a": [[0], {"b": 0}]}, True),
    ],
)
def test_values_are_counted_however_deep_they_are(value: Any, few: bool) -> None:
    assert are_few(value) is few


def test_more_arguments_than_any_tool_has_are_not_looked_at() -> None:
    """S-33."""

    def function(city: str) -> None: ...

    with pytest.raises(InvalidArguments, match="1001 are too many; there are city"):
        Arguments(function).check({str(number): 0 for number in range(FEW + 1)})


def test_few_values_are_told_one_by_one_and_of_many_the_first() -> None:
    def function(rows: list[int]) -> None: ...

    told = dict.fromkeys((3, FEW + 1), "")
    for size in told:
        with pytest.raises(InvalidArguments) as raised:
            Arguments(function).check({"rows": ["x"] * size})
        told[size] = str(raised.value)

    assert told[3].count("must be a whole number") == 3
    assert told[FEW + 1].count("must be a whole number") == 1
