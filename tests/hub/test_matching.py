"""Matching: which rows a filter keeps, and which of their columns."""

from typing import Any

import pytest

from pegboard import ToolError
from pegboard.matching import chooser, keeper

NAMES = ["id", "city", "price"]
ROW = [7, "Rome", "19.90"]


def keeps(row: Any, filter: dict[str, Any], names: list[str] | None) -> bool:  # noqa: A002
    return keeper(filter, names, row)(row)


def chosen(row: Any, columns: list[str], names: list[str] | None) -> Any:
    return chooser(columns, names, row)(row)


@pytest.mark.parametrize(
    ("filter", "kept"),
    [
        ({"city": "Rome"}, True),
        ({"city": "Milan"}, False),
        ({"city": {"ne": "Milan"}}, True),
        ({"city": {"in": ["Milan", "Rome"]}}, True),
        ({"city": {"contains": "OM"}}, True),
        ({"id": 7}, True),
        ({"id": {"gt": 6, "lte": 7}}, True),
        ({"id": {"gt": 7}}, False),
        ({"price": {"lt": 20}}, True),
        ({"price": {"gte": 20}}, False),
        ({"price": 19.9}, True),
        ({"city": {"lt": 5}}, False),
        ({"id": True}, False),
        ({"city": "Rome", "id": 8}, False),
        ({}, True),
    ],
)
def test_a_filter_keeps_what_it_says(filter: dict[str, Any], kept: bool) -> None:  # noqa: A002
    assert keeps(ROW, filter, NAMES) is kept


def test_exact_numbers_in_strings_are_compared_as_numbers() -> None:
    assert keeps(["9007199254740993"], {"n": {"gt": 9007199254740992}}, ["n"])
    assert keeps(["100"], {"n": {"gt": 20}}, ["n"])
    assert not keeps(["NaN"], {"n": {"gt": 20}}, ["n"])


def test_objects_are_matched_by_their_keys_and_single_values_as_item() -> None:
    assert keeps({"city": "Rome"}, {"city": "Rome"}, None)
    assert keeps("a line", {"item": {"contains": "line"}}, None)


def test_an_unknown_column_is_named_with_the_nearest() -> None:
    with pytest.raises(ToolError, match=r"the rows have no column 'pric'; did you mean 'price'\?"):
        keeps(ROW, {"pric": 5}, NAMES)
    with pytest.raises(ToolError, match="the rows have no column 'zzz'; there are id, city, price"):
        chosen(ROW, ["zzz"], NAMES)


def test_an_unknown_comparison_names_those_there_are() -> None:
    with pytest.raises(ToolError, match=r"price cannot be compared by 'below'; there are eq, lt, .* contains"):
        keeps(ROW, {"price": {"below": 5}}, NAMES)


def test_columns_come_in_the_order_asked_for() -> None:
    assert chosen(ROW, ["price", "id"], NAMES) == ["19.90", 7]
    assert chosen({"a": 1, "b": 2}, ["b", "x"], None) == {"b": 2}
    assert chosen("text", ["a"], None) == "text"


def test_one_of_many_is_compared_as_one_is() -> None:
    wanted = ["Rome", 7, "19.90", None, True, [1], {"a": 1}, *range(1000, 50_000)]
    for value in ("Rome", 7, 7.0, "7", 19.9, "19.90", None, True, [1], {"a": 1}, 49_999, "49999.0"):
        assert keeps([value], {"n": {"in": wanted}}, ["n"])
    for value in ("rome", 8, "19.9", False, [2], {"a": 2}, "NaN", 50_000, ""):
        assert not keeps([value], {"n": {"in": wanted}}, ["n"])


def test_a_mistake_is_told_whatever_the_row_is() -> None:
    with pytest.raises(ToolError, match="no column 'nope'"):
        keeper({"id": 0, "nope": 1}, NAMES, ROW)
    with pytest.raises(ToolError, match="cannot be compared by 'below'"):
        keeper({"id": 0, "price": {"below": 5}}, NAMES, ROW)


def test_an_object_without_the_key_is_not_kept() -> None:
    keeps = keeper({"a": {"gte": 0}}, None, {"a": 1})

    assert keeps({"a": 1})
    assert not keeps({"b": 1})


def test_numbers_of_any_length_are_compared() -> None:
    huge = 10**5000

    assert not keeps([7], {"n": huge}, ["n"])
    assert keeps([7], {"n": {"lt": huge}}, ["n"])
    assert keeps([7], {"n": {"lt": "1e999999999"}}, ["n"])
