"""Fitting: an answer that is too long is cut, and is JSON all the same."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pegboard.fitting import dump, estimate, fit, fits, shorten
from pegboard.rows import Limits
from pegboard.tokenizers import counter

SMALL = Limits(tokens=300, bytes=4000, cell=200)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=20), inner, max_size=30),
    max_leaves=200,
)


def test_what_fits_is_left_as_it_is() -> None:
    value = {"a": [1, 2, 3], "b": "text"}

    fitted = fit(value, SMALL)

    assert fitted.value is value
    assert (fitted.cut, fitted.rest, fitted.length, fitted.dropped) == (None, (), None, 0)


def test_the_largest_list_ends_early_and_the_rest_of_it_is_kept() -> None:
    value = {"count": 500, "tables": [{"name": f"table {n}"} for n in range(500)]}

    fitted = fit(value, SMALL)

    assert fitted.cut == "tables"
    assert [*fitted.value["tables"], *fitted.rest] == value["tables"]
    assert len(fitted.value["tables"]) > 20
    assert fitted.value["count"] == 500


def test_a_list_inside_a_list_is_named_by_its_path() -> None:
    fitted = fit({"result": [{"rows": list(range(2000))}]}, SMALL)

    assert fitted.cut == "result.0.rows"
    assert [*fitted.value["result"][0]["rows"], *fitted.rest] == list(range(2000))


def test_long_strings_say_how_much_they_lack() -> None:
    fitted = fit({"text": "word " * 2000}, SMALL)

    assert fitted.value["text"] == ("word " * 2000)[:200] + "…(+9800 chars)"
    assert fitted.length == 200


def test_many_long_strings_are_shortened_further() -> None:
    fitted = fit({"row": {f"column {n}": "word " * 100 for n in range(20)}}, SMALL)

    assert fits(fitted.text, SMALL)
    assert fitted.length is not None
    assert fitted.length < 200


def test_a_mapping_without_lists_loses_entries_and_says_how_many() -> None:
    fitted = fit({"sizes": {f"key {n}": n for n in range(1000)}}, SMALL)

    assert fits(fitted.text, SMALL)
    assert fitted.dropped == 1000 - len(fitted.value["sizes"])


def test_what_has_few_keys_keeps_them_while_another_has_many() -> None:
    fitted = fit({"info": {"sizes": {f"key {n}": n for n in range(1000)}, "name": "a", "kind": "b"}}, SMALL)

    assert fits(fitted.text, SMALL)
    assert set(fitted.value["info"]) == {"sizes", "name", "kind"}


@settings(max_examples=150, deadline=None)
@given(json_values)
def test_whatever_it_was_it_fits_and_is_json(value: Any) -> None:
    fitted = fit({"value": value}, SMALL)

    assert json.loads(fitted.text) == json.loads(dump(fitted.value))
    assert fits(fitted.text, SMALL) or not _can_be_cut(value)


def _can_be_cut(value: Any) -> bool:
    """Whether a value is made of what can be left out: keys and single numbers cannot."""
    return isinstance(value, str | list)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([[n, f"name {n}", n * 1.5, "2024-01-01T00:00:00"] for n in range(300)], separators=(",", ":")),
        json.dumps([{"id": n, "city": "Rome", "price": 19.99, "note": None} for n in range(200)]),
        "The quick brown fox jumps over the lazy dog. " * 50,
        "数据库连接超时请稍后再试一次" * 100,
        "0123456789abcdef" * 200,
    ],
)
def test_the_estimate_is_near_what_a_tokenizer_counts(text: str) -> None:
    exact = counter("o200k")(text)

    assert 0.85 * exact <= estimate(text) <= 1.6 * exact


def test_bytes_count_where_they_are_fewer_than_tokens_allow() -> None:
    assert fits("é" * 100, Limits(tokens=10_000, bytes=4096))
    assert not fits("é" * 2100, Limits(tokens=10_000, bytes=4096))


def test_a_short_text_is_not_shortened() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcd", 3) == "abc…(+1 chars)"
