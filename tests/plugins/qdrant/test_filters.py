"""The filter language: every operator finds what it says, in both forms, and a mistake is one line that says where."""

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.qdrant.conftest import Tools
from tests.plugins.qdrant.world import BIG, UUIDS, place

from pegboard import ToolError
from pegboard_qdrant import filters

Payload = dict[str, Any]

PLACES = {number: place(number) for number in range(1, 31)}

RING = [{"lat": lat, "lon": lon} for lat, lon in ((41, 12), (43, 12), (43, 13), (41, 13), (41, 12))]

CASES: dict[str, tuple[Payload, Callable[[Payload], bool]]] = {
    "a value": ({"city": "Rome"}, lambda p: p["city"] == "Rome"),
    "an integer": ({"price": 7}, lambda p: p["price"] == 7),
    "a fraction": ({"rating": 1.5}, lambda p: p["rating"] == 1.5),
    "a bool": ({"open": True}, lambda p: p["open"]),
    "a value in a list": ({"tags": "old"}, lambda p: "old" in p["tags"]),
    "several keys": ({"city": "Rome", "open": True}, lambda p: p["city"] == "Rome" and p["open"]),
    "a list of values": ({"city": ["Rome", "Lisbon"]}, lambda p: p["city"] in ("Rome", "Lisbon")),
    "values of two kinds": ({"price": {"any": [7, 8.0, "x"]}}, lambda p: p["price"] in (7, 8)),
    "eq": ({"city": {"eq": "Rome"}}, lambda p: p["city"] == "Rome"),
    "ne": ({"city": {"ne": "Rome"}}, lambda p: p["city"] != "Rome"),
    "ne of several": ({"city": {"ne": ["Rome", "Lisbon"]}}, lambda p: p["city"] == "Berlin"),
    "ne null": ({"note": {"ne": None}}, lambda p: p["note"] is not None),
    "none": ({"city": {"none": ["Rome"]}}, lambda p: p["city"] != "Rome"),
    "in, with a dollar": ({"city": {"$in": ["Rome"]}}, lambda p: p["city"] == "Rome"),
    "a range": ({"price": {"gte": 5, "lt": 9}}, lambda p: 5 <= p["price"] < 9),
    "a range of fractions": ({"rating": {"gt": 1.5, "lte": 2.5}}, lambda p: 1.5 < p["rating"] <= 2.5),
    "a range and a value left out": ({"price": {"gte": 5, "lt": 9, "ne": 7}}, lambda p: p["price"] in (5, 6, 8)),
    "dates": (
        {"opened": {"gte": "2024-03-01", "lt": "2024-05-01T00:00:00Z"}},
        lambda p: p["opened"][5:7] in ("03", "04"),
    ),
    "words": ({"description": {"text": "quiet bookshop"}}, lambda p: "bookshop" in p["description"]),
    "one of some words": (
        {"description": {"text_any": "walrus bookshop"}},
        lambda p: "shop" in p["description"] or "walrus" in p["description"],
    ),
    "a phrase": ({"description": {"phrase": "wild walrus"}}, lambda p: "wild walrus" in p["description"]),
    "a prefix": ({"city": {"prefix": "Ber"}}, lambda p: p["city"] == "Berlin"),
    "a part": ({"city": {"substring": "isb"}}, lambda p: p["city"] == "Lisbon"),
    "null": ({"note": None}, lambda p: p["note"] is None),
    "null as an operator": ({"note": {"null": False}}, lambda p: p["note"] is not None),
    "empty": ({"empty": {"empty": True}}, lambda p: p["empty"] == []),
    "exists": ({"rare": {"exists": True}}, lambda p: "rare" in p),
    "exists not": ({"rare": {"exists": False}}, lambda p: "rare" not in p),
    "a count of values": ({"tags": {"count": {"gte": 2}}}, lambda p: len(p["tags"]) >= 2),
    "a count": ({"tags": {"count": 1}}, lambda p: len(p["tags"]) == 1),
    "near": ({"location": {"near": {"lat": 41.9, "lon": 12.5, "radius": 50_000}}}, lambda p: p["city"] == "Rome"),
    "a box": (
        {"location": {"box": {"top_left": {"lat": 43, "lon": 12}, "bottom_right": {"lat": 41, "lon": 13}}}},
        lambda p: p["city"] == "Rome",
    ),
    "a polygon": (
        {"location": {"polygon": RING}},
        lambda p: p["city"] == "Rome",
    ),
    "a key inside": ({"location.lat": {"gt": 52}}, lambda p: p["location"]["lat"] > 52),
    "a key in a list": ({"offers[].sku": "A7"}, lambda p: p["offers"][0]["sku"] == "A7"),
    "nested": ({"offers": {"nested": {"sku": "B", "price": 93}}}, lambda p: p["price"] == 7),
    "not nested": ({"offers[].sku": "B", "offers[].price": 7}, lambda p: p["price"] == 7),
    "not": ({"not": {"city": "Rome"}}, lambda p: p["city"] != "Rome"),
    "not both": ({"not": {"city": "Rome", "open": True}}, lambda p: not (p["city"] == "Rome" and p["open"])),
    "neither": ({"not": [{"city": "Rome"}, {"open": True}]}, lambda p: p["city"] != "Rome" and not p["open"]),
    "not of an operator": ({"price": {"not": {"gte": 5, "lt": 9}}}, lambda p: not 5 <= p["price"] < 9),
    "not of two": ({"price": {"not": {"gte": 5, "ne": 7}}}, lambda p: not (p["price"] >= 5 and p["price"] != 7)),
    "or": ({"or": [{"city": "Rome"}, {"price": 7}]}, lambda p: p["city"] == "Rome" or p["price"] == 7),
    "and in or": (
        {"or": [{"and": [{"city": "Rome"}, {"open": True}]}, {"price": 7}], "price": {"lt": 20}},
        lambda p: ((p["city"] == "Rome" and p["open"]) or p["price"] == 7) and p["price"] < 20,
    ),
    "an odd key": ({"ünïcode ☕": "ja"}, lambda p: p["price"] == 11),
    "a key called key": ({"key": "locker"}, lambda p: p["price"] == 11),
    "a long integer": ({"big": str(BIG)}, lambda p: p["price"] == 11),
    "ids": ({"has_id": [7, "8"]}, lambda p: p["price"] in (7, 8)),
    "its own form": ({"must": [{"key": "city", "match": {"value": "Rome"}}]}, lambda p: p["city"] == "Rome"),
    "its own any": ({"must": [{"key": "city", "match": {"any": ["Rome"]}}]}, lambda p: p["city"] == "Rome"),
    "its own except": ({"must": {"key": "city", "match": {"except": ["Rome"]}}}, lambda p: p["city"] != "Rome"),
    "its own range": (
        {
            "must": [{"key": "price", "range": {"gte": 5, "lt": None}}],
            "must_not": [{"key": "open", "match": {"value": True}}],
        },
        lambda p: p["price"] >= 5 and not p["open"],
    ),
    "its own should": ({"should": [{"key": "price", "match": {"value": n}} for n in (1, 2)]}, lambda p: p["price"] < 3),
    "at least two of three": (
        {"min_should": {"conditions": [{"city": "Rome"}, {"open": True}, {"tags": "old"}], "min_count": 2}},
        lambda p: (p["city"] == "Rome") + p["open"] + ("old" in p["tags"]) >= 2,
    ),
    "its own null": ({"must": [{"is_null": {"key": "note"}}]}, lambda p: p["note"] is None),
    "its own empty": ({"must": [{"is_empty": {"key": "rare"}}]}, lambda p: "rare" not in p),
    "its own nested": (
        {"must": [{"nested": {"key": "offers", "filter": {"must": [{"key": "sku", "match": {"value": "A7"}}]}}}]},
        lambda p: p["price"] == 7,
    ),
    "its own filter inside": (
        {"must": [{"should": [{"has_id": [7]}, {"has_id": [8]}]}]},
        lambda p: p["price"] in (7, 8),
    ),
    "its own bare condition": ({"key": "city", "match": {"value": "Rome"}}, lambda p: p["city"] == "Rome"),
    "its own form, partly empty": (
        {"must": [], "should": [{"key": "city", "match": {"value": "Rome"}}], "must_not": None},
        lambda p: p["city"] == "Rome",
    ),
    "both forms": (
        {"must": [{"city": "Rome"}, {"key": "open", "match": {"value": True}}]},
        lambda p: p["city"] == "Rome" and p["open"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_filter_finds_what_it_says(tools: Tools, name: str) -> None:
    asked, fits = CASES[name]

    found = await tools("facets", collection="places", filter=asked)
    page = await tools("scroll", collection="places", filter=asked, limit=30, payload_fields=["price"])

    wanted = [number for number, payload in PLACES.items() if fits(payload)]
    assert [item["id"] for item in page["items"]] == wanted
    assert found["count"] == page["total"] == len(wanted)
    assert wanted


async def test_points_with_a_vector_are_found(tools: Tools) -> None:
    page = await tools("scroll", collection="named", filter={"has_vector": "words", "has_id": [UUIDS[0]]})
    assert [item["id"] for item in page["items"]] == [UUIDS[0]]


def nest(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = {"must": [inner]}
    return inner


MISTAKES: list[tuple[Any, str]] = [
    ({"must": [{"key": "x"}]}, "filter, must[0]: key 'x' needs exactly one condition beside it"),
    ({"must": [{"key": "x", "mach": {"value": 1}}]}, "must[0]: beside key there is no 'mach'; did you mean 'match'?"),
    ({"must": [{"key": "x", "match": {}}]}, "match needs exactly one of value"),
    ({"must": [{"key": "x", "match": {"valeu": 1}}]}, "must[0].match: match has no 'valeu'; did you mean 'value'?"),
    ({"must": [{"key": "x", "match": {"value": 1}, "range": {"lt": 1}}]}, "needs exactly one condition"),
    ({"must": [{"key": 5, "match": {"value": 1}}]}, "filter, must[0].key: must be a string, not 5"),
    ({"must": [{"key": "x", "match": {"value": 1.5}}]}, "must[0].match: a value to compare with is"),
    ({"must": []}, "filter, must: the list is empty"),
    ({"must": 5}, "filter, must[0]: must be an object, not 5"),
    ({"must": [5]}, "filter, must[0]: must be an object, not 5"),
    ({"must": [{"city": "Rome"}], "city": "Rome"}, "beside must, should and must_not there is no 'city'"),
    ({"must": [], "shuold": []}, "filter"),
    ({"min_should": {"conditions": [{"a": 1}]}}, '"min_count": 2'),
    ({"price": {"lte_": 5}}, "filter, price: no operator is called 'lte_'; did you mean 'lte'?"),
    ({"price": {}}, "filter, price: an empty object says nothing"),
    ({"price": {"lt": "cheap"}}, "'cheap' is neither a number nor a time"),
    ({"price": {"lt": True}}, "filter, price: must be a number, not True"),
    ({"price": {"lt": None}}, "a range needs one of lt, lte, gt and gte"),
    ({"price": {"lt": 5, "gt": "2024-01-01"}}, "the bounds are numbers, or all of them times"),
    ({"price": {"lt": math.inf}}, "must be a finite number"),
    ({"price": math.nan}, "must be a finite number"),
    ({"price": {"range": {"less": 5}}}, "no bound is called 'less'"),
    ({"price": 2**63}, "must be an integer of 64 bits"),
    ({"price": {"gt": 10**400}}, "the number is too large"),
    ({"price": {"any": []}}, "filter, price.any: the list is empty"),
    ({"price": {"any": 5}}, "filter, price.any: must be a list, not 5"),
    ({"price": {"any": [{}]}}, "a value to compare with is"),
    ({"price": [[1]]}, "a value to compare with is a string, a number or true or false, not a list"),
    ({"city": {"text": 5}}, "filter, city.text: must be a string, not 5"),
    ({"city": "x" * 8193}, "the string has 8193 characters"),
    ({"city": "\ud800"}, "not valid Unicode"),
    ({"city": {"exists": "yes"}}, "filter, city.exists: must be true or false"),
    ({"city": {"count": -1.5}}, "filter, city.count: must be an object, not -1.5"),
    ({"city": {"count": {"gte": 1.5}}}, "must be an integer"),
    ({"location": {"near": {"lat": 41}}}, "the radius in metres"),
    ({"location": {"near": {"lat": 41, "lon": 12, "radius": -1}}}, "more than 0"),
    ({"location": {"near": {"lat": 91, "lon": 12, "radius": 1}}}, "lat goes from -90 to 90"),
    ({"location": {"near": {"lat": 1, "lng": 12, "radius": 1}}}, 'a place is {"lat"'),
    ({"location": {"box": {"top_left": {"lat": 1, "lon": 1}}}}, "bottom_right"),
    ({"location": {"polygon": [{"lat": 1, "lon": 1}]}}, "a ring has at least 4 points"),
    ({"location": {"polygon": {"inside": []}}}, '"exterior"'),
    ({"not": 5}, "filter, not: must be an object, not 5"),
    ({"or": []}, "filter, or: the list is empty"),
    ({"or": [{"a": 1}, {}]}, "filter, or[1]: an empty object says nothing"),
    ({"has_id": ["x"]}, "filter: has_id 'x' is no id of a point"),
    ({"has_id": [-1]}, "is no id of a point"),
    ({"offers": {"nested": 5}}, "filter, offers.nested: must be an object"),
    ({"": 1}, "a payload key has 1 to 512 printable characters"),
    ({"a\nb": 1}, "a payload key has 1 to 512 printable characters"),
    ({"x" * 513: 1}, "a payload key has 1 to 512 printable characters"),
    (nest(200, {"a": 1}), "nested more than 10 deep"),
    ({"or": [{"a": n} for n in range(201)]}, "more than 200 conditions"),
    ({"a": list(range(1001))}, "the list has 1001 values"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "says"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_one_line_that_says_where(asked: Any, says: str) -> None:
    with pytest.raises(ToolError) as error:
        filters.parse(asked)

    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_nothing_to_filter_by_is_no_filter() -> None:
    assert filters.parse(None) is None
    assert filters.parse({}) is None


scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=20),
    st.floats(allow_nan=False, allow_infinity=False),
)
numbers = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
times = st.datetimes().map(lambda time: time.isoformat() + "Z")
keys = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8).filter(
    lambda key: key not in {*filters.CLAUSES, *filters.COMBINERS, *filters.KEYLESS, "key"}
)
places = st.fixed_dictionaries({"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)})
bounds = st.sampled_from(["lt", "lte", "gt", "gte"])
operators = st.one_of(
    st.dictionaries(bounds, numbers, min_size=1),
    st.dictionaries(bounds, times, min_size=1),
    st.dictionaries(st.sampled_from(["eq", "ne"]), scalars, min_size=1),
    st.dictionaries(st.sampled_from(["any", "none"]), st.lists(scalars, min_size=1, max_size=5), min_size=1),
    st.dictionaries(
        st.sampled_from(["text", "phrase", "prefix", "substring", "text_any"]), st.text(max_size=20), min_size=1
    ),
    st.dictionaries(st.sampled_from(["null", "empty", "exists"]), st.booleans(), min_size=1),
    places.map(lambda place: {"near": {**place, "radius": 5.5}}),
    st.integers(0, 9).map(lambda count: {"count": count}),
)
simple = st.dictionaries(
    keys, st.one_of(scalars, st.none(), st.lists(scalars, min_size=1, max_size=4), operators), min_size=1, max_size=4
)


def nested_in(key: str, inner: Any) -> dict[str, Any]:
    return {key: {"nested": inner}}


def some(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(inner, min_size=1, max_size=3)


any_filter: st.SearchStrategy[Any] = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["or", "and", "not"]), some(inner), min_size=1),
        st.dictionaries(st.sampled_from(["must", "should", "must_not"]), some(inner), min_size=1),
        st.builds(nested_in, keys, inner),
    ),
    max_leaves=6,
)  # fmt: skip


@given(any_filter)
def test_every_filter_becomes_qdrants_json_and_back(asked: Any) -> None:
    from qdrant_client.models import Filter

    parsed = filters.parse(asked)

    assert parsed is not None
    sent = json.loads(Filter.model_validate(parsed.json).model_dump_json(by_alias=True, exclude_none=True))
    assert sent.keys() <= set(filters.CLAUSES)
    again = filters.parse(json.loads(json.dumps(parsed.json)))
    assert again is not None
    assert again.json == parsed.json


WORDS = [*filters.CLAUSES, *filters.COMBINERS, *filters.KEYLESS, *filters.FIELD_WORDS, "key", "filter"]

junk = st.recursive(
    st.one_of(st.none(), scalars, st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(WORDS),
                st.text(max_size=5),
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*filters.CLAUSES, "not", "city", "key"]), junk, max_size=3))
def test_whatever_is_asked_is_a_filter_or_a_tool_error(asked: Any) -> None:
    from qdrant_client.models import Filter

    with suppress(ToolError):
        parsed = filters.parse(asked)
        assert parsed is None or Filter.model_validate(parsed.json)
