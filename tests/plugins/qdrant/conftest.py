"""The same Qdrant twice, embedded and over HTTP, and a client of a real hub in front of it."""

import shutil
from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.plugins.qdrant.processes import FrontProcess, front
from tests.plugins.qdrant.world import client_of, dense, fill, rank_by_words

import pegboard_qdrant
from pegboard.testing import connect


class ToolFailedError(Exception):
    """A tool said no; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Calls the plugin's tools as a client does."""

    client: Client

    async def __call__(self, tool: str, **arguments: Any) -> Any:
        name = tool if tool.startswith("fetch") else f"qdrant_{tool}"
        answer = await self.client.call_tool(name, arguments)
        text = "".join(getattr(part, "text", "") for part in answer.content)
        if answer.is_error:
            raise ToolFailedError(text)
        return answer.structured_content

    async def refusal(self, tool: str, **arguments: Any) -> str:
        """What the tool says; fails when it does what it was asked."""
        with pytest.raises(ToolFailedError) as refused:
            await self(tool, **arguments)
        return str(refused.value)


@dataclass(frozen=True, slots=True)
class Engine:
    """A Qdrant to test with: the plugin's settings for it, and where its own client finds it."""

    kind: str
    settings: dict[str, Any]
    where: dict[str, Any] = field(default_factory=dict[str, Any])

    def tools(self, *, writes: str = "deny", **settings: Any) -> AbstractAsyncContextManager[Tools]:
        return tools_of({**self.settings, **settings, "writes": writes})


@asynccontextmanager
async def tools_of(settings: dict[str, Any], hub: dict[str, Any] | None = None, **client: Any) -> AsyncGenerator[Tools]:
    """The plugin's tools in a hub with these settings."""
    async with connect(
        pegboard_qdrant, settings={**(hub or {}), "plugins": {"qdrant": settings}}, **client
    ) as connected:
        yield Tools(connected)


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the embedded engine with all collections in it, to be read or copied."""
    folder = tmp_path_factory.mktemp("qdrant") / "filled"
    with client_of(path=str(folder)) as client:
        fill(client)
    return folder


@pytest.fixture(scope="session")
def filled_front() -> Generator[FrontProcess]:
    """A front with all collections in it, to be read."""
    with front() as process:
        with client_of(url=process.url) as client:
            fill(client)
        yield process


@pytest.fixture(scope="session", params=["embedded", "http"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """A Qdrant with all collections, for reading."""
    if request.param == "http":
        url = request.getfixturevalue("filled_front").url
        return Engine("http", {"url": url}, {"url": url})
    folder = str(request.getfixturevalue("filled_folder"))
    return Engine("embedded", {"path": folder}, {"path": folder})


@pytest.fixture
def scratch(engine: Engine, tmp_path: Path) -> Engine:
    """A Qdrant with a collection `scratch` of three points, for writing."""
    if engine.kind == "embedded":
        folder = str(shutil.copytree(engine.settings["path"], tmp_path / "copy"))
        engine = Engine("embedded", {"path": folder}, {"path": folder})
    with client_of(**engine.where) as client:
        client.delete_collection("scratch")
        client.create_collection("scratch", vectors_config=dense(2))
        client.upsert("scratch", [point(number) for number in (1, 2, 3)])
        rank_by_words(client, "scratch", "text")
    return engine


def point(number: int) -> Any:
    from qdrant_client.models import PointStruct

    return PointStruct(id=number, vector=[float(number), 0.0], payload={"text": f"point {number}", "n": number})


@pytest.fixture(scope="module")
async def tools(engine: Engine) -> AsyncGenerator[Tools]:
    """The reading tools, on each engine."""
    async with engine.tools() as tools:
        yield tools
