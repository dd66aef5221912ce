"""The embedded engine: off the loop, one request at a time, its folder locked and given back."""

import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from anyio import fail_after
from tests.plugins.qdrant.conftest import tools_of
from tests.plugins.qdrant.world import client_of, dense, rank_by_words

from pegboard import Call, Plugin, PluginSettings, tool
from pegboard.pools import Pools
from pegboard.testing import connect
from pegboard_qdrant import QDRANT, Target, driver
from pegboard_qdrant.embedded import text_indexes, unsynced

POINTS = 4000


def test_the_text_indexes_of_the_engine_are_where_we_look() -> None:
    with client_of(location=":memory:") as client:
        client.create_collection("texts", vectors_config={})
        rank_by_words(client, "texts", "body")
        ((key, index),) = text_indexes(client, "texts").items()

    assert key == "body"
    assert index.params.scoring is not None


def test_importing_the_plugin_imports_no_driver() -> None:
    code = (
        "import sys, pegboard_qdrant; "
        "heavy = {'qdrant_client', 'grpc', 'numpy', 'httpx', 'fastembed', 'portalocker'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


async def test_a_folder_in_use_is_told_and_free_again_afterwards(filled_folder: Path, tmp_path: Path) -> None:
    with client_of(path=str(tmp_path)):
        async with tools_of({"path": str(tmp_path)}) as tools:
            told = await tools.refusal("list_collections")
            assert f"another process uses the folder {tmp_path}" in told

    async with tools_of({"path": str(tmp_path)}) as tools:
        assert (await tools("list_collections"))["items"] == []
    with client_of(path=str(tmp_path)) as client:
        assert client.get_collections().collections == []


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "meta.json").write_text("{broken")

    async with tools_of({"path": str(tmp_path / "file")}) as tools:
        assert "the embedded Qdrant at" in await tools.refusal("list_collections")
    async with tools_of({"path": str(tmp_path)}) as tools:
        assert "the embedded Qdrant at" in await tools.refusal("list_collections")


async def test_an_engine_in_memory_is_shared_with_another_plugin() -> None:
    @tool
    async def prepare(call: Call[PluginSettings]) -> str:
        """Make a collection."""
        qdrant = await call.pool(QDRANT, ":memory:")
        async with qdrant.use("prepare") as client:
            await client.create_collection("notes", vectors_config=dense(2))  # type: ignore[attr-defined]
        return "done"

    import pegboard_qdrant

    settings = {"plugins": {"qdrant": {"memory": True}, "notes": {"writes": "allow"}}}
    async with connect(pegboard_qdrant, Plugin("notes", tools=[prepare]), settings=settings) as client:
        await client.call_tool("notes_prepare", {})
        found = await client.call_tool("qdrant_list_collections", {})
        assert found.structured_content is not None
        assert [item["name"] for item in found.structured_content["items"]] == ["notes"]


@pytest.fixture(scope="module")
def slow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with so many points that a filter over them takes a while."""
    folder = tmp_path_factory.mktemp("slow") / "folder"
    with client_of(path=str(folder)) as client:
        client.create_collection("many", vectors_config={})
        unsynced(client)
        from qdrant_client.models import PointStruct

        points = [PointStruct(id=n, vector={}, payload={"n": n, "text": "a b c " * 20}) for n in range(POINTS)]
        client.upsert("many", points)
        rank_by_words(client, "many", "text")
    return folder


async def test_the_loop_goes_on_while_the_engine_computes(slow_folder: Path) -> None:
    gaps: list[float] = []
    took = 0.0

    async def tick() -> None:
        while True:
            before = time.monotonic()
            await anyio.sleep(0.001)
            gaps.append(time.monotonic() - before)

    async with tools_of({"path": str(slow_folder)}) as tools, anyio.create_task_group() as tasks:
        await tools("facets", collection="many")
        tasks.start_soon(tick)
        began = time.monotonic()
        for _ in range(3):
            await tools("search", collection="many", query_text="a b c", filter={"n": {"gte": 1}})
        took = time.monotonic() - began
        tasks.cancel_scope.cancel()
    assert took > 0.1
    assert max(gaps) < took / 2


async def test_calls_at_once_are_all_answered_right(slow_folder: Path) -> None:
    async with tools_of({"path": str(slow_folder)}) as tools:
        counts: list[int] = []

        async def ask(number: int) -> None:
            counts.append((await tools("facets", collection="many", filter={"n": {"lt": number}}))["count"])

        with fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number in range(1, 9):
                    tasks.start_soon(ask, number)
    assert sorted(counts) == list(range(1, 9))


async def test_a_call_that_is_given_up_leaves_the_engine_usable(slow_folder: Path) -> None:
    async with Pools() as pools:
        qdrant = await pools.get(QDRANT, Target(str(slow_folder), timeout=30))
        async with qdrant.use("count") as client:
            await client.count("many")
            with anyio.move_on_after(0.01) as scope:
                await client.query_points("many", query=driver.models().TextQuery(text="a b"), using="text")
            assert scope.cancelled_caught
            assert (await client.count("many")).count == POINTS
