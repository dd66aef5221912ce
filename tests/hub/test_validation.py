"""Validation errors in our own words."""

import re
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from pegboard.validation import MAX_SHOWN, MESSAGES, did_you_mean, location, message, show


def details_of(annotation: Any, value: Any) -> list[tuple[str, str]]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    details = caught.value.errors(include_url=False)
    return [(location(detail, value), message(detail)) for detail in details]


def test_no_message_is_pydantics() -> None:
    assert not [words for words in MESSAGES.values() if re.search(r"pydantic|Input should|https?:", words)]


def test_a_location_is_written_as_users_write_it() -> None:
    class Filter(BaseModel):
        cities: list[str]

    class Query(BaseModel):
        filters: dict[str, Filter]

    assert details_of(Query, {"filters": {"a b": {"cities": ["Rome", 5]}}}) == [
        ("filters.a b.cities[1]", "must be a string")
    ]


def test_a_missing_key_has_a_location_too() -> None:
    class Filter(BaseModel):
        city: str

    class Query(BaseModel):
        filter: Filter

    assert details_of(Query, {"filter": {}}) == [("filter.city", "required")]


def test_the_branches_of_a_union_are_not_part_of_a_location() -> None:
    class Query(BaseModel):
        limit: int | float | list[str]

    assert {where for where, _ in details_of(Query, {"limit": "many"})} == {"limit"}


def test_a_wrong_key_of_a_mapping_is_reported_at_the_key() -> None:
    class Query(BaseModel):
        rows: dict[int, int]

    assert details_of(Query, {"rows": {"x": 1}}) == [("rows.x", "must be a whole number")]


def test_an_error_of_the_whole_value_has_a_name() -> None:
    assert details_of(dict[str, int], 5) == [("arguments", "must be an object")]


def test_the_words_of_a_validator_are_passed_on() -> None:
    def refuse(_: str) -> str:
        raise ValueError("must end in .example")

    assert details_of(Annotated[str, AfterValidator(refuse)], "x") == [("arguments", "must end in .example")]


def test_an_error_type_without_its_usual_context_is_only_called_not_valid() -> None:
    # Pydantic's own e-mail type raises `value_error` with a context that has no `error` in it.
    def refuse(_: str) -> str:
        raise PydanticCustomError("value_error", "not an address: {reason}", {"reason": "no @"})

    assert details_of(Annotated[str, AfterValidator(refuse)], "x") == [("arguments", "is not valid")]


def test_an_unknown_error_type_is_only_called_not_valid() -> None:
    assert details_of(complex, "x") == [("arguments", "is not valid")]


def test_the_nearest_name_is_offered_and_a_far_one_is_not() -> None:
    assert did_you_mean("limt", ["limit", "sql"]) == "did you mean 'limit'?"
    assert did_you_mean("zzz", ["limit", "sql"]) == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", '"x"'),
        (5, "5"),
        (None, "null"),
        (True, "true"),
        (float("nan"), "NaN"),
        ({"secret": 1}, "an object"),
        ([1, 2], "a list"),
    ],
)
def test_values_are_shown_as_json_and_containers_by_their_kind(value: Any, shown: str) -> None:
    assert show(value) == shown


@given(st.text(st.characters(exclude_categories=[])) | st.integers() | st.floats() | st.binary())
def test_whatever_was_sent_can_be_shown_and_is_never_long(value: Any) -> None:
    assert len(show(value)) <= MAX_SHOWN + 1
