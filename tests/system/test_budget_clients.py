"""The clients people use at the endpoints a budget makes: with search, of a group, by profile, at a port of its own."""

import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import TextContent
from tests.plugins import many
from tests.system.installed import Installed, install
from tests.system.npm import Clients
from tests.system.processes import serving
from tests.system.test_budget import ENDPOINTS, HOOK, OPS, free_ports
from tests.system.test_real_clients import REMOTE, connected, inspect

PLACES = ["search", "group", "profile", "port"]
SEARCHED = {"search_tools", "call_tool"}
HIDDEN: dict[str, Any] = {"name": "many_delete_jobs", "arguments": {"id": 7}}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Generator[Mapping[str, str]]:
    """The base URL of one endpoint of each kind."""
    source = Path(many.__file__).read_text() + HOOK
    plugin: Installed = install(tmp_path_factory.mktemp("many"), "pegmany", {"pegmany": source}, {"many": "pegmany"})
    first = free_ports(len(ENDPOINTS))
    settings = {**OPS, "server": {"split_ports": first}}
    with serving(tmp_path_factory.mktemp("hub"), plugin, settings=settings) as hub:
        yield {
            "search": f"{hub.url}/ops",
            "group": f"{hub.url}/many/jobs",
            "profile": f"{hub.url}/profiles/small",
            "port": f"http://127.0.0.1:{first + ENDPOINTS.index('/many/jobs')}",
        }


@pytest.mark.parametrize("place", PLACES)
async def test_mcp_remote_lists_and_calls(
    places: Mapping[str, str], clients: Clients, tmp_path: Path, place: str
) -> None:
    node, *script = clients.script(REMOTE)
    arguments = [*script, f"{places[place]}/sse", "--transport", "sse-only", "--allow-http"]
    remote = StdioServerParameters(
        command=node, args=arguments, env={**clients.environ, "MCP_REMOTE_CONFIG_DIR": str(tmp_path)}
    )
    with (tmp_path / "log").open("w+") as log:
        async with connected(stdio_client(remote, errlog=log), "legacy") as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert (names >= SEARCHED) == (place in ("search", "profile"))
            await finds_and_calls(client, names)


async def finds_and_calls(client: Client, names: set[str]) -> None:
    """Call a tool that is not listed by its name, and through the two that stand for it where they are."""
    direct = await client.call_tool(HIDDEN["name"], HIDDEN["arguments"])
    assert not direct.is_error
    if names >= SEARCHED:
        found = (await client.call_tool("search_tools", {"query": "delete a job"})).content[0]
        assert isinstance(found, TextContent)
        assert HIDDEN["name"] in found.text
        assert (await client.call_tool("call_tool", HIDDEN)).content == direct.content


@pytest.mark.parametrize("era", ["legacy", "modern"])
@pytest.mark.parametrize("place", PLACES)
async def test_the_inspector_lists_and_calls(
    places: Mapping[str, str], clients: Clients, tmp_path: Path, place: str, era: str
) -> None:
    target = [f"{places[place]}/mcp", "--protocol-era", era]
    listed = await inspect(clients, tmp_path, target, "--method", "tools/list")
    names = {tool["name"] for tool in listed["tools"]}
    tool, given = ("call_tool", HIDDEN) if names >= SEARCHED else (HIDDEN["name"], HIDDEN["arguments"])

    arguments = ["--tool-name", tool, "--tool-args-json", json.dumps(given)]
    answer = await inspect(clients, tmp_path, target, "--method", "tools/call", *arguments)

    assert (names >= SEARCHED) == (place in ("search", "profile"))
    assert not answer.get("isError")
    assert answer["content"]
