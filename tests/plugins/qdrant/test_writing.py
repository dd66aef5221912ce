"""Writing: absent unless allowed, whole or not at all, and asked for with what will happen."""

from typing import Any, Literal

import pytest
from mcp.types import ElicitResult
from tests.plugins.qdrant.conftest import Engine, Tools, tools_of

NEW = [{"id": 3, "vector": [9, 9], "payload": {"text": "changed"}}, {"id": 4, "vector": [4.5, 0]}]


async def rows(tools: Tools) -> dict[Any, Any]:
    page = await tools("scroll", collection="scratch", with_vectors=True)
    return {item["id"]: (item["vector"], item["payload"]) for item in page["items"]}


async def test_without_permission_there_is_nothing_to_write_with(engine: Engine) -> None:
    async with engine.tools() as tools:
        names = {tool.name for tool in (await tools.client.list_tools()).tools}
        assert not names & {"qdrant_upsert", "qdrant_delete"}


async def test_points_are_put_in_and_replaced(scratch: Engine) -> None:
    async with scratch.tools(writes="allow") as tools:
        assert await tools("upsert", collection="scratch", points=NEW) == {"written": 2, "replaced": 1}

        written = await rows(tools)
        assert written[3] == ([9.0, 9.0], {"text": "changed"})
        assert written[4] == ([4.5, 0.0], {})
        assert written[1] == ([1.0, 0.0], {"text": "point 1", "n": 1})


async def test_points_are_deleted_by_id(scratch: Engine) -> None:
    async with scratch.tools(writes="allow") as tools:
        assert await tools("delete", collection="scratch", ids=[1, "2", 99]) == {"deleted": 2, "missing": [99]}
        assert set(await rows(tools)) == {3}
        assert await tools("delete", collection="scratch", ids=[1]) == {"deleted": 0, "missing": [1]}


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([], "give 1 to 100 points"),
        ([{"id": n, "vector": [0, 0]} for n in range(101)], "give 1 to 100 points"),
        ([*NEW, {"id": 5, "vector": [1, 2, 3]}], "points[2]: collection 'scratch', its vector wants 2 numbers, not 3"),
        ([*NEW, {"id": 5}], "points[2]: collection 'scratch', its vector wants 2 numbers; the point has no vector"),
        ([*NEW, {"id": 3, "vector": [0, 0]}], "id 3 stands twice"),
        ([{"id": -1, "vector": [0, 0]}], "is no id of a point"),
        ([{"id": "x", "vector": [0, 0]}], "is no id of a point"),
        ([{"id": 5, "vector": [1e39, 0]}], "the value at 0 is not a finite number"),
        ([{"id": 5, "vector": [10**400, 0]}], "the value at 0 is not a finite number"),
        ([{"id": 5, "vector": [True, 0]}], "the value at 0 is not a number"),
        ([{"id": 5, "vector": {"dense": [0, 0]}}], "has no vector 'dense'"),
        ([{"id": 5, "vector": [0, 0], "payload": "text"}], "object"),
    ],
)
async def test_one_wrong_point_and_nothing_is_written(scratch: Engine, points: list[Any], says: str) -> None:
    async with scratch.tools(writes="allow") as tools:
        before = await rows(tools)
        assert says in await tools.refusal("upsert", collection="scratch", points=points)
        assert await rows(tools) == before


async def test_no_collection_is_made_and_no_empty_list_deletes(scratch: Engine) -> None:
    async with scratch.tools(writes="allow") as tools:
        assert "there is no collection" in await tools.refusal("upsert", collection="scratched", points=NEW)
        assert "give 1 to 1000 ids" in await tools.refusal("delete", collection="scratch", ids=[])
        assert len(await rows(tools)) == 3


async def test_named_vectors_are_written_whole(scratch: Engine) -> None:
    point = {
        "id": 7,
        "vector": {"small": [1, 2], "colbert": [[1, 0], [0, 1]], "words": {"indices": [3], "values": [1.5]}},
    }
    async with scratch.tools(writes="allow") as tools:
        await tools("upsert", collection="named", points=[point])
        (read,) = (await tools("scroll", collection="named", filter={"has_id": 7}, with_vectors=True))["items"]
        assert read["vector"] == {**point["vector"], "small": [1.0, 2.0]}  # type: ignore[dict-item]
        await tools("delete", collection="named", ids=[7])


async def test_the_user_is_asked_with_the_count(scratch: Engine) -> None:
    asked: list[str] = []
    actions: list[Literal["decline", "accept"]] = ["decline", "accept", "accept"]
    answers = iter(actions)

    async def user(context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=next(answers), content={})

    settings = {**scratch.settings, "writes": "confirm"}
    async with tools_of(settings, elicitation_callback=user) as tools:
        assert "did not confirm" in await tools.refusal("delete", collection="scratch", ids=[1, 2, 99])
        assert len(await rows(tools)) == 3
        await tools("upsert", collection="scratch", points=NEW)
        await tools("delete", collection="scratch", ids=[1, 2, 99])
        assert set(await rows(tools)) == {3, 4}

    assert asked == [
        "Delete 2 (id 1, 2) of the 3 points of collection 'scratch'? This cannot be undone.",
        "Put 1 new points into collection 'scratch' and replace 1 (id 3)?",
        "Delete 2 (id 1, 2) of the 4 points of collection 'scratch'? This cannot be undone.",
    ]
