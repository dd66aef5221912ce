"""Values: every payload and id goes to JSON and comes back as it was, or says what was changed."""

import json
import math
from datetime import date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.plugins.qdrant.conftest import Tools, tools_of

from pegboard import ToolError
from pegboard_qdrant import values
from pegboard_qdrant.values import MAX_INTEGER, given_id, plain, point_id

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-MAX_INTEGER, MAX_INTEGER), texts,
    st.floats(allow_nan=False, allow_infinity=False), st.datetimes().map(datetime.isoformat),
    st.dates().map(date.isoformat), st.uuids().map(str),
    st.fixed_dictionaries({"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)}),
)  # fmt: skip
anything = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
payloads = st.dictionaries(texts, anything, max_size=4)


@given(anything)
def test_what_json_can_carry_stays_what_it_is(value: Any) -> None:
    assert json.loads(json.dumps(plain(value), allow_nan=False)) == value


@given(st.one_of(st.integers(0, 2**64 - 1), st.uuids().map(str)))
def test_an_id_comes_back_as_the_same_point(one: int | str) -> None:
    assert given_id(json.loads(json.dumps(point_id(one)))) == one


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**53 + 1, "9007199254740993"),
        (-(2**63), "-9223372036854775808"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        ("\ud800", "?"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ((1, 2), [1, 2]),
        ({1: 2}, {"1": 2}),
    ],
)
def test_what_json_cannot_carry_is_a_string(value: Any, shown: Any) -> None:
    assert plain(value) == shown


def test_what_is_nested_too_deeply_is_text() -> None:
    value: Any = "deep"
    for _ in range(values.MAX_DEPTH + 5):
        value = [value]
    shown = plain(value)
    for _ in range(values.MAX_DEPTH):
        (shown,) = shown
    assert shown == '[[[[["deep"]]]]]'


@pytest.mark.parametrize("wrong", [-1, 2**64, True, 1.5, None, "", "x", [1], {}, "1" * 5000])
def test_what_is_no_id_is_told(wrong: Any) -> None:
    with pytest.raises(ToolError, match="is no id of a point"):
        given_id(wrong)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=payloads)
async def test_a_payload_written_is_read_again(writer: Tools, payload: dict[str, Any]) -> None:
    await writer("upsert", collection="notes", points=[{"id": 1, "payload": payload}])

    (read,) = (await writer("scroll", collection="notes"))["items"]
    assert read == {"id": 1, "payload": payload}


@pytest.fixture(scope="module")
async def writer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tools on a collection without vectors, allowed to write."""
    from tests.plugins.qdrant.world import client_of

    folder = str(tmp_path_factory.mktemp("notes"))
    with client_of(path=folder) as client:
        client.create_collection("notes", vectors_config={})
    async with tools_of({"path": folder, "writes": "allow"}) as tools:
        yield tools
