"""An endpoint: a fixed list, and one MCP server that answers for it in every revision."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, get_args

import anyio
import pytest
from mcp import Client, MCPError
from mcp_types import PaginatedRequestParams
from pydantic import WithJsonSchema

from pegboard import Group, Plugin
from pegboard.testing import client_of, connect, hub_of
from pegboard.testing.connect import Era

ERAS: tuple[Era, ...] = get_args(Era)


async def ping() -> str:
    """Answer."""
    return "pong"


async def pong() -> str:
    return "ping"


def text() -> str:
    return "text"


def echo(word: str) -> str:
    return word


EVERYTHING = Plugin(
    name="x",
    tools=[ping],
    groups=[Group("net", title="The net", tools=[pong])],
    instructions="Ping first.",
    prompts=[text],
    resources={"x://text": text, "x://{word}": echo},
)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("path", "name", "title", "tools"),
    [
        ("", "pegboard all", "pegboard", ["x_ping", "x_pong"]),
        ("/x", "pegboard x", "x", ["x_ping", "x_pong"]),
        ("/x/net", "pegboard x/net", "The net", ["x_pong"]),
    ],
)
async def test_each_path_has_a_server_with_its_tools(
    path: str, name: str, title: str, tools: list[str], era: Era
) -> None:
    async with hub_of(EVERYTHING) as hub, client_of(hub, path, era) as client:
        listed = (await client.list_tools()).tools
        info = client.server_info

    assert [tool.name for tool in listed] == tools
    if era == "handshake":
        assert info is not None
        assert (info.name, info.title, info.version) == (name, title, hub.version)


async def test_the_instructions_of_a_plugin_stand_at_its_endpoints() -> None:
    async with hub_of(EVERYTHING) as hub:
        async with client_of(hub, "/x") as client:
            assert client.instructions == "Ping first."
        async with client_of(hub, "/x/net") as client:
            assert client.instructions == "Ping first."
        async with client_of(hub) as client:
            assert client.instructions != "Ping first."


async def test_a_group_has_tools_only() -> None:
    async with connect(EVERYTHING, path="/x/net") as client:
        assert client.server_capabilities.prompts is None
        assert [resource.uri for resource in (await client.list_resources()).resources] == ["pegboard://budget"]


@pytest.mark.parametrize("era", ERAS)
async def test_an_unknown_tool_is_told_with_the_nearest_name(era: Era) -> None:
    async with connect(EVERYTHING, era=era) as client:
        with pytest.raises(MCPError) as near:
            await client.call_tool("x_pingg", {})
        with pytest.raises(MCPError) as far:
            await client.call_tool("z" * 200, {})

    assert (near.value.code, near.value.message) == (-32602, "Unknown tool: 'x_pingg'; did you mean 'x_ping'?")
    assert far.value.message == f"Unknown tool: '{'z' * 100}'; the list has all there are"


@pytest.mark.parametrize(
    "listing",
    ["list_tools", "list_prompts", "list_resources", "list_resource_templates"],
)
async def test_a_list_has_one_page(listing: str) -> None:
    async with connect(EVERYTHING) as client:
        method: Callable[..., Awaitable[Any]] = getattr(client, listing)
        await method()
        with pytest.raises(MCPError, match="unknown cursor; this list has one page"):
            await method(cursor="next")


async def test_an_empty_page_request_is_the_whole_list() -> None:
    async with connect(EVERYTHING) as client:
        listed = await client.session.list_tools(params=PaginatedRequestParams())

    assert len(listed.tools) == 2


async def test_the_lists_are_the_same_every_time() -> None:
    async with connect(EVERYTHING) as client:
        first, second = await client.session.list_tools(), await client.session.list_tools()

    assert first == second


async def test_lists_may_be_kept_by_clients_of_the_stateless_era() -> None:
    async with connect(EVERYTHING, era="stateless") as client:
        listed = await client.list_tools()

    assert listed.ttl_ms == 300_000


async def test_many_clients_share_an_endpoint_and_each_gets_its_own_answers() -> None:
    async def echo(value: int) -> int:
        await anyio.lowlevel.checkpoint()
        return value

    answers: dict[int, Any] = {}

    async with hub_of(Plugin(name="x", tools=[echo])) as hub:

        async def ask(client: Client, value: int) -> None:
            answers[value] = (await client.call_tool("x_echo", {"value": value})).structured_content

        with anyio.fail_after(5):
            async with client_of(hub) as a, client_of(hub, era="stateless") as b, anyio.create_task_group() as calls:
                for value in range(20):
                    calls.start_soon(ask, (a, b)[value % 2], value)

    assert answers == {value: {"result": value} for value in range(20)}


async def test_a_tool_of_another_endpoint_is_unknown_here() -> None:
    async with connect(EVERYTHING, path="/x/net") as client:
        with pytest.raises(MCPError, match="Unknown tool: 'x_ping'"):
            await client.call_tool("x_ping", {})


async def test_the_sdk_finds_the_schema_of_a_tool_that_wants_headers_without_listing_all_tools() -> None:
    async def where(region: Annotated[str, WithJsonSchema({"type": "string", "x-mcp-header": "Region"})]) -> str:
        return region

    async with hub_of(Plugin(name="x", tools=[ping, where])) as hub:
        schema_of = hub.endpoints[""].server.get_tool_input_schema

    assert schema_of is not None
    assert (schema_of("x_where") or {})["required"] == ["region"]
    assert schema_of("x_ping") is None
    assert schema_of("x_nothing") is None
