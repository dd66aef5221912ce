"""Vectors of texts: made by the first search that needs one, in a thread; a module stands in for fastembed."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from tests.plugins.qdrant.conftest import Engine, tools_of
from tests.plugins.qdrant.world import vector

MODEL = {"embedder": "fastembed", "embedding_model": "tiny/four"}
loaded: list[dict[str, Any]] = []


class TextEmbedding:
    """What the plugin uses of fastembed's class of this name; its models cannot be fetched where the tests run."""

    def __init__(self, model_name: str, cache_dir: str | None = None, local_files_only: bool = False) -> None:
        if model_name != MODEL["embedding_model"]:
            raise ValueError(f"Model {model_name} is not supported")
        loaded.append({"cache_dir": cache_dir, "local_files_only": local_files_only})

    def query_embed(self, query: str) -> Iterator[list[float]]:
        yield vector(12) if "twelve" in query else vector(3)[: 4 if "long" not in query else 3]


@pytest.fixture
def fastembed(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded.clear()
    module = ModuleType("fastembed")
    vars(module)["TextEmbedding"] = TextEmbedding
    monkeypatch.setitem(sys.modules, "fastembed", module)


@pytest.mark.usefixtures("fastembed")
async def test_a_text_is_searched_by_meaning_with_a_model_loaded_once(engine: Engine) -> None:
    heard: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    async with engine.tools(**MODEL, embedding_folder="/models", embedding_download=False) as tools:
        assert loaded == []
        arguments = {"collection": "places", "query_text": "number twelve", "mode": "dense", "limit": 1}
        answer = await tools.client.call_tool("qdrant_search", arguments, progress_callback=hear)
        assert answer.structured_content is not None
        assert answer.structured_content["mode"] == "dense"
        assert [point["id"] for point in answer.structured_content["points"]] == [12]
        await tools("search", **arguments)
    assert heard == ["loading the model tiny/four"]
    assert loaded == [{"cache_dir": "/models", "local_files_only": True}]


@pytest.mark.usefixtures("fastembed")
async def test_with_a_model_and_a_text_index_a_search_is_hybrid(engine: Engine) -> None:
    async with engine.tools(**MODEL) as tools:
        found = await tools("search", collection="places", query_text="walrus twelve", limit=4)
        assert (found["mode"], found["using"]) == ("hybrid", ["vector", "description"])
        assert {7, 12} <= {point["id"] for point in found["points"][:2]}

        found = await tools("search", collection="places", query_text="walrus twelve", limit=1, mode="text")
        assert found["mode"] == "text"


@pytest.mark.usefixtures("fastembed")
async def test_a_model_that_does_not_fit_the_collection_is_told(engine: Engine) -> None:
    async with engine.tools(**MODEL) as tools:
        told = await tools.refusal("search", collection="named", query_text="twelve", using="small")
        assert "vector 'small' wants 2 numbers and the model 'tiny/four' makes 4" in told


@pytest.mark.usefixtures("fastembed")
async def test_a_model_that_cannot_be_loaded_is_told(engine: Engine) -> None:
    async with engine.tools(**{**MODEL, "embedding_model": "nobody/knows"}) as tools:
        told = await tools.refusal("search", collection="places", query_text="x", mode="dense")
        assert "the model 'nobody/knows' cannot be loaded" in told


async def test_a_missing_extra_is_told_with_the_command(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastembed", None)
    async with engine.tools(**MODEL) as tools:
        told = await tools.refusal("search", collection="places", query_text="x", mode="dense")
        assert "pip install 'pegboard-qdrant[fastembed]'" in told


async def test_a_server_may_make_the_vectors_itself(filled_front: Any) -> None:
    settings = {"url": filled_front.url, "embedder": "server", "embedding_model": "any/model"}
    async with tools_of(settings) as tools:
        told = await tools.refusal("search", collection="places", query_text="x", mode="dense")
        assert "says: Service internal error: InferenceService is not initialized" in told
