"""Listing, describing, browsing and counting, over the embedded engine and over HTTP alike."""

from typing import Any

import pytest
from tests.plugins.qdrant.conftest import Tools
from tests.plugins.qdrant.world import BIG, CROWD


async def test_collections_are_listed_with_points_vectors_and_aliases(tools: Tools) -> None:
    found = await tools("list_collections")

    by_name = {item["name"]: item for item in found["items"]}
    assert sorted({*by_name} - {"scratch"}) == ["crowd", "empty", "named", "places", "two", "words"]
    assert by_name["places"]["points"] == 30
    assert by_name["places"]["aliases"] == ["venues"]
    assert by_name["places"]["text_search"] == ["description"]
    assert by_name["places"]["vectors"] == [{"name": "", "size": 4, "distance": "Cosine"}]
    assert found["total"] == len(by_name)


async def test_a_long_list_goes_on_with_fetch_more(tools: Tools) -> None:
    page = await tools("list_collections", limit=2)
    names = [item["name"] for item in page["items"]]
    assert (page["returned"], page["has_more"]) == (2, True)

    while page["has_more"]:
        page = await tools("fetch_more", cursor=page["cursor"])
        names += [item["name"] for item in page["items"]]
    assert names == sorted(names)
    assert {"empty", "words"} <= set(names)


async def test_a_collection_is_described_with_sampled_payload(tools: Tools) -> None:
    about = await tools("collection_info", collection="places")

    keys = {key["key"]: key for key in about["payload_keys"]}
    assert (about["points"], about["status"], about["sampled_points"]) == (30, "green", 30)
    assert keys["price"]["types"] == ["integer"]
    assert keys["location"]["types"] == ["geo"]
    assert keys["tags"]["types"] == ["string[]"]
    assert keys["offers[].sku"]["types"] == ["string"]
    assert keys["note"]["types"] == ["null", "string"]
    assert keys["rare"] == {"key": "rare", "types": ["string"], "examples": ["once"], "share": 0.03}
    assert set(keys["city"]["examples"]) == {"Rome", "Berlin", "Lisbon"}
    assert about["text_search"] == ["description"]


async def test_every_kind_of_vector_is_described(tools: Tools) -> None:
    about = await tools("collection_info", collection="named")

    assert about["vectors"] == [
        {"name": "small", "size": 2, "distance": "Dot"},
        {"name": "colbert", "size": 2, "distance": "Dot", "multi": True},
        {"name": "words", "sparse": True, "modifier": "idf"},
    ]
    assert (await tools("collection_info", collection="empty"))["payload_keys"] == []


async def pages(tools: Tools, **arguments: Any) -> list[dict[str, Any]]:
    page = await tools("scroll", **arguments)
    items = page["items"]
    while page["has_more"]:
        page = await tools("fetch_more", cursor=page["cursor"])
        items += page["items"]
    return items


async def test_points_are_browsed_by_id_page_by_page(tools: Tools) -> None:
    first = await tools("scroll", collection="places", limit=7)
    assert (first["returned"], first["total"], first["has_more"]) == (7, 30, True)

    again = await tools("scroll", collection="places", cursor=first["cursor"], limit=7)
    assert [item["id"] for item in again["items"]] == list(range(8, 15))

    everything = await pages(tools, collection="places", limit=7)
    assert [item["id"] for item in everything] == list(range(1, 31))
    assert everything[0]["payload"]["name"] == "Place 1"


@pytest.mark.parametrize(("order_by", "reverse"), [("price", False), ("-price", True)])
async def test_points_are_browsed_in_the_order_of_a_payload_key(tools: Tools, order_by: str, reverse: bool) -> None:
    found = await pages(tools, collection="places", order_by=order_by, limit=4, filter={"city": "Rome"})

    prices = [item["payload"]["price"] for item in found]
    assert prices == sorted((n for n in range(1, 31) if n % 3 == 0), reverse=reverse)


async def test_points_that_cannot_be_ordered_are_left_out_and_that_is_said(tools: Tools) -> None:
    page = await tools("scroll", collection="places", order_by="big")
    assert [item["id"] for item in page["items"]] == [11]
    assert page["notice"] == "points without 'big' are left out"


async def test_points_with_the_same_value_come_once_each(tools: Tools) -> None:
    for order_by in ("opened", "-opened"):
        found = await pages(tools, collection="places", order_by=order_by, limit=2)
        assert sorted(item["id"] for item in found) == list(range(1, 31))
        times = [item["payload"]["opened"] for item in found]
        assert times == sorted(times, reverse=order_by.startswith("-"))


async def test_long_ids_come_as_strings_and_are_understood_as_such(tools: Tools) -> None:
    page = await tools("scroll", collection="words")
    assert [item["id"] for item in page["items"]] == [str(2**63), str(2**63 + 1)]

    (only,) = (await tools("scroll", collection="words", filter={"has_id": [str(2**63 + 1)]}))["items"]
    assert only["payload"]["title"] == "Blue cup"


async def test_a_long_integer_comes_as_a_string_and_finds_its_point(tools: Tools) -> None:
    (only,) = (await tools("scroll", collection="places", filter={"big": {"exists": True}}))["items"]
    assert only["payload"]["big"] == str(BIG)

    (same,) = (await tools("scroll", collection="places", filter={"big": only["payload"]["big"]}))["items"]
    assert same["id"] == only["id"] == 11


async def test_keys_of_any_script_can_be_asked_for(tools: Tools) -> None:
    page = await tools("scroll", collection="places", filter={"ünïcode ☕": "ja"}, payload_fields=["ünïcode ☕"])
    assert [item["payload"] for item in page["items"]] == [{"ünïcode ☕": "ja"}]

    found = await tools("facets", collection="places", key="ünïcode ☕")
    assert found["values"] == [{"value": "ja", "count": 1}]


async def test_values_are_counted(tools: Tools) -> None:
    found = await tools("facets", collection="places", key="city")
    assert found["count"] == 30
    assert found["values"] == [{"value": city, "count": 10} for city in ("Berlin", "Lisbon", "Rome")]

    found = await tools("facets", collection="places", key="tags", filter={"price": {"lte": 8}}, limit=1)
    assert (found["count"], found["values"]) == (8, [{"value": "new", "count": 6}])

    found = await tools("facets", collection="places", filter={"open": True})
    assert found == {"key": None, "count": 15, "values": []}


async def test_wrong_keys_are_told_with_the_right_ones(tools: Tools) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("facets", {"key": "citty"}),
        ("scroll", {"order_by": "citty"}),
        ("scroll", {"payload_fields": ["citty"]}),
        ("scroll", {"filter": {"citty": "Rome"}}),
    ]
    for tool, arguments in asked:
        told = await tools.refusal(tool, collection="places", **arguments)
        assert "collection 'places' has no payload key 'citty'; did you mean 'city'?" in told


async def test_a_key_that_no_sampled_point_has_is_looked_for_in_the_others(tools: Tools) -> None:
    about = await tools("collection_info", collection="crowd")
    assert (about["points"], about["sampled_points"]) == (CROWD, 100)

    page = await tools("scroll", collection="crowd", filter={"needle": "here"})
    assert [item["id"] for item in page["items"]] == [CROWD]
    told = await tools.refusal("scroll", collection="crowd", filter={"m": 1})
    assert "collection 'crowd' has no payload key 'm'" in told


async def test_the_tools_say_that_they_only_read(tools: Tools) -> None:
    listed = {tool.name: tool for tool in (await tools.client.list_tools()).tools}

    assert set(listed) == {
        "qdrant_search", "qdrant_recommend", "qdrant_scroll", "qdrant_facets", "qdrant_list_collections",
        "qdrant_collection_info", "fetch_more",
    }  # fmt: skip
    for tool in listed.values():
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
