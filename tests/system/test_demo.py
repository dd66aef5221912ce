"""The whole demo: three embedded databases with one story, served over HTTP, and nothing left of it afterwards."""

import os
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest
from mcp import Client
from tests.system.processes import PEGBOARD, READY, Lines

START_LIMIT = 120.0
"""Seconds for the first start, which makes all the data."""


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder that root's database server may enter, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="pegdemo-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@contextmanager
def demo(folder: Path, *arguments: str) -> Generator[tuple[subprocess.Popen[bytes], str, Lines]]:
    """`pegboard demo` as a process of its own, when it is ready."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PEGBOARD_")}
    command = [PEGBOARD, "demo", "--port", "0", "--folder", str(folder), *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, cwd=folder, env=environ) as process:
        assert process.stderr is not None
        log = Lines(process.stderr)
        try:
            yield process, log.wait_for(READY, START_LIMIT)[1], log
        finally:
            process.kill()


async def asked(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(name, arguments)
    assert not answer.is_error, answer.content
    assert answer.structured_content is not None
    return answer.structured_content


async def test_one_story_runs_through_three_databases(folder: Path) -> None:
    with demo(folder) as (process, url, log):
        children = psutil.Process(process.pid).children(recursive=True)
        with anyio.fail_after(60):
            async with Client(f"{url}/mcp") as client:
                reviews = await asked(client, "qdrant_search", collection="reviews", query_text="damaged", limit=1)
                found = reviews["points"][0]["payload"]
                sql = "SELECT id, name FROM shop.products WHERE id = $1"
                rows = await asked(client, "postgres_query", sql=sql, params=[found["product_id"]])
                cypher = "MATCH (p:Product {id: $id}) RETURN p.id, p.name"
                graph = await asked(client, "neo4j_query", cypher=cypher, params={"id": found["product_id"]})

                assert rows["rows"] == graph["rows"] == [[found["product_id"], found["product"]]]

        process.terminate()
        assert process.wait(30) == 0
        assert "Traceback" not in log.wait_for_end()

    _, left = psutil.wait_procs(children, timeout=10)
    assert left == []


async def test_nobody_can_write_there(folder: Path) -> None:
    with demo(folder, "--with", "neo4j", "--with", "qdrant") as (_, url, _):
        with anyio.fail_after(60):
            async with Client(f"{url}/mcp") as client:
                names = {tool.name for tool in (await client.list_tools()).tools}
                assert not {"neo4j_write", "qdrant_upsert", "qdrant_delete"} & names
                refused = await client.call_tool("neo4j_query", {"cypher": "CREATE (:X)"})
                assert refused.is_error
