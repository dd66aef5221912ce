"""Searching by words, by meaning, by example and by all of it, over the embedded engine and over HTTP alike."""

from typing import Any

import pytest
from tests.plugins.qdrant.conftest import Tools
from tests.plugins.qdrant.world import UUIDS, vector


def ids(found: dict[str, Any]) -> list[Any]:
    return [point["id"] for point in found["points"]]


async def test_a_text_is_ranked_by_words_without_any_model(tools: Tools) -> None:
    found = await tools("search", collection="places", query_text="walrus garden", limit=3)

    assert (found["mode"], found["using"]) == ("text", ["description"])
    assert ids(found)[0] == 7
    assert found["points"][0]["payload"]["name"] == "Place 7"
    assert found["points"][0]["score"] > found["points"][1]["score"] > 0
    assert "vector" not in found["points"][0]


async def test_a_vector_finds_its_point(tools: Tools) -> None:
    found = await tools("search", collection="places", query_vector=vector(12), limit=2)

    assert (found["mode"], found["using"]) == ("dense", ["vector"])
    assert ids(found)[0] == 12
    assert found["points"][0]["score"] == pytest.approx(1.0, abs=1e-5)


async def test_a_point_finds_others_like_it_and_not_itself(tools: Tools) -> None:
    found = await tools("search", collection="places", point_id=12, limit=3)

    assert found["mode"] == "dense"
    assert 12 not in ids(found)
    assert len(ids(found)) == 3


async def test_text_and_vector_are_fused_by_their_ranks(tools: Tools) -> None:
    found = await tools("search", collection="places", query_text="walrus", query_vector=vector(12), limit=4)

    assert (found["mode"], found["using"]) == ("hybrid", ["vector", "description"])
    assert set(ids(found)[:2]) == {7, 12}


async def test_all_keys_with_a_text_index_are_searched(tools: Tools) -> None:
    found = await tools("search", collection="words", query_text="water kettle")

    assert (found["mode"], found["using"]) == ("text", ["title", "body"])
    assert len(found["points"]) == 2

    found = await tools("search", collection="words", query_text="water kettle", using="title")

    assert found["using"] == ["title"]
    assert [point["payload"]["title"] for point in found["points"]] == ["Red kettle"]


async def test_an_alias_is_as_good_as_the_name(tools: Tools) -> None:
    found = await tools("search", collection="venues", query_text="walrus", limit=1)

    assert ids(found) == [7]


@pytest.mark.parametrize(
    ("using", "query"),
    [
        ("small", [1.0, 0.0]),
        ("colbert", [[1.0, 0.0], [0.0, 1.0]]),
        ("colbert", [1.0, 0.0]),
        ("words", {"indices": [6], "values": [1.0]}),
    ],
)
async def test_named_multi_and_sparse_vectors_can_be_searched(tools: Tools, using: str, query: Any) -> None:
    found = await tools("search", collection="named", query_vector=query, using=using, limit=1)

    assert (found["mode"], found["using"]) == ("dense", [using])
    assert ids(found) == [UUIDS[1]]


async def test_vectors_come_when_they_are_asked_for(tools: Tools) -> None:
    found = await tools("search", collection="named", query_vector=[1, 0], using="small", limit=1, with_vectors=True)

    assert found["points"][0]["vector"]["small"] == [1.0, 1.0]
    assert found["points"][0]["vector"]["colbert"] == [[1.0, 0.0], [0.0, 1.0]]
    assert found["points"][0]["vector"]["words"] == {"indices": [1, 6], "values": [0.5, 1.0]}


async def test_only_the_payload_asked_for_comes(tools: Tools) -> None:
    found = await tools("search", collection="places", query_text="walrus", payload_fields=["city", "price"])
    assert found["points"][0]["payload"] == {"city": "Berlin", "price": 7}

    found = await tools("search", collection="places", query_text="walrus", payload_fields=[])
    assert found["points"][0]["payload"] == {}


async def test_offset_skips_and_a_threshold_cuts(tools: Tools) -> None:
    every = await tools("search", collection="places", query_vector=vector(3), limit=6)
    later = await tools("search", collection="places", query_vector=vector(3), limit=3, offset=3)
    best = await tools("search", collection="places", query_vector=vector(3), limit=30, score_threshold=0.999)

    assert ids(later) == ids(every)[3:]
    assert all(point["score"] >= 0.999 for point in best["points"])
    assert 0 < len(ids(best)) < 30


async def test_groups_have_up_to_three_points_of_each_value(tools: Tools) -> None:
    found = await tools("search", collection="places", query_vector=vector(3), group_by="city", limit=2)

    groups = [point["group"] for point in found["points"]]
    assert len(set(groups)) == 2
    assert all(groups.count(group) == 3 for group in groups)
    assert all(point["group"] == point["payload"]["city"] for point in found["points"])
    assert "cannot be skipped" in await tools.refusal(
        "search", collection="places", query_vector=vector(3), group_by="city", offset=2
    )


async def test_a_filter_narrows_every_mode(tools: Tools) -> None:
    for query in (
        {"query_text": "quiet"},
        {"query_vector": vector(1)},
        {"query_text": "quiet", "query_vector": vector(1)},
    ):
        found = await tools("search", collection="places", filter={"city": "Rome"}, limit=30, **query)
        assert {point["payload"]["city"] for point in found["points"]} == {"Rome"}
        assert len(found["points"]) == 10


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "give query_text, query_vector or point_id"),
        ({"query_vector": vector(1), "point_id": 1}, "exclude each other"),
        ({"query_vector": [1, 2, 3]}, "collection 'places', its vector wants 4 numbers, not 3"),
        ({"query_text": "x", "mode": "dense"}, "no embedder is configured"),
        ({"query_text": "x", "mode": "hybrid"}, "no embedder is configured"),
        ({"query_vector": vector(1), "mode": "text"}, "give query_text"),
        ({"query_text": "x", "using": "descriptoin"}, "did you mean 'description'?"),
        ({"point_id": 99}, "99"),
        ({"point_id": "not-an-id"}, "is no id of a point"),
        ({"query_text": "x", "group_by": "citty"}, "did you mean 'city'?"),
    ],
)
async def test_what_cannot_be_searched_is_told(tools: Tools, arguments: dict[str, Any], says: str) -> None:
    assert says in await tools.refusal("search", collection="places", **arguments)


async def test_several_vectors_have_to_be_chosen_from(tools: Tools) -> None:
    told = await tools.refusal("search", collection="two", query_vector=[1, 0])
    assert "choose one with using: 'a' (2 numbers), 'b' (2 numbers)" in told


async def test_words_without_an_index_are_told_with_another_way(tools: Tools) -> None:
    told = await tools.refusal("search", collection="named", query_text="number")
    assert "no text index with scoring" in told
    assert "qdrant_scroll" in told


async def test_a_wrong_collection_is_told_with_the_right_one(tools: Tools) -> None:
    told = await tools.refusal("search", collection="place", query_text="walrus")
    assert "there is no collection 'place'; did you mean 'places'?" in told


@pytest.mark.parametrize("strategy", [None, "average_vector", "best_score", "sum_scores"])
async def test_recommendations_are_like_some_and_unlike_others(tools: Tools, strategy: str | None) -> None:
    found = await tools("recommend", collection="places", positive=[3, 6], negative=[7], strategy=strategy, limit=5)

    assert len(found["points"]) == 5
    assert not {3, 6, 7} & set(ids(found))


async def test_examples_are_points_and_vectors(tools: Tools) -> None:
    found = await tools("recommend", collection="places", positive=[vector(12), "3"], filter={"city": "Rome"}, limit=3)
    assert {point["payload"]["city"] for point in found["points"]} == {"Rome"}

    found = await tools("recommend", collection="places", positive=[], negative=[3], limit=2)
    assert len(ids(found)) == 2


async def test_nothing_to_be_like_is_told(tools: Tools) -> None:
    assert "nothing to be like" in await tools.refusal("recommend", collection="places", positive=[])
    told = await tools.refusal("recommend", collection="places", positive=[], negative=[1], strategy="average_vector")
    assert "nothing to be like" in told
    assert "404" in await tools.refusal("recommend", collection="places", positive=[404])
