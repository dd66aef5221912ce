"""Plugins with as many calls running as they may: what a client reads, and what is written down."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import TextContent

from pegboard import Plugin, tool
from pegboard.testing import connect
from pegboard.testing.connect import Era

FULL: Mapping[str, Any] = {"calls_per_plugin": 1, "queue": 0}


@asynccontextmanager
async def full(era: Era, **settings: Any) -> AsyncGenerator[Client]:
    """A client of a plugin whose only call runs for as long as the block."""
    started, release = anyio.Event(), anyio.Event()

    @tool(read_only=True)
    async def hold() -> str:
        """Run on."""
        started.set()
        await release.wait()
        return "held"

    async def ask() -> str:
        """Ask."""
        return "asked"

    async def page() -> str:
        """Read."""
        return "read"

    shop = Plugin(name="shop", tools=[hold], prompts=[ask], resources={"shop://page": page})
    with anyio.fail_after(10):
        async with connect(shop, settings={"limits": FULL, **settings}, era=era) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "shop_hold")
                await started.wait()
                yield client
                release.set()
            assert (await client.get_prompt("shop_ask")).messages


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_a_call_beyond_is_an_error_with_the_remedy_and_a_record(era: Era, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with full(era, audit={"file": str(path)}) as client:
        result = await client.call_tool("shop_hold")

    assert result.is_error
    (block,) = result.content
    assert isinstance(block, TextContent)
    assert block.text == "shop is busy: 1 calls of it run already, and others wait; try again in a moment"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r["event"], r["outcome"], r.get("reason")) for r in records] == [
        ("denied", "denied", "plugin"),
        ("call", "ok", None),
        ("call", "ok", None),  # the prompt at the end
    ]


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_prompts_and_resources_count_and_are_errors_of_the_protocol(era: Era, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with full(era, audit={"file": str(path)}) as client:
        with pytest.raises(MCPError, match="shop is busy") as prompt:
            await client.get_prompt("shop_ask")
        with pytest.raises(MCPError, match="shop is busy") as resource:
            await client.read_resource("shop://page")

    for raised in (prompt, resource):
        assert (raised.value.code, raised.value.error.data) == (-32000, {"retryAfter": 1})
    denied = [record for line in path.read_text().splitlines() if (record := json.loads(line))["event"] == "denied"]
    assert [(record["plugin"], record["reason"]) for record in denied] == [("shop", "plugin")] * 2
