"""Matching: which rows a filter keeps, and which of their columns."""

from typing import Any

import pytest

from pegboard import ToolError
from pegboard.matching import chosen, keeps

NAMES = ["id", "city", "price"]
ROW = [7, "Rome", "19.90"]


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
