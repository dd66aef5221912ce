"""The clients people use: mcp-remote, the Inspector's command line and the SDK, on every transport."""

import json
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp_types import TextContent
from tests.system.installed import Installed
from tests.system.npm import Clients
from tests.system.processes import PEGBOARD, HubProcess, configure, environment, serving
from tests.system.wire import Json

from pegboard_postgres.embedded import Embedded

INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
REMOTE = "mcp-remote/dist/proxy.js"
MODERN = "2026-07-28"

READING = ("query", "explain", "list_tables", "describe_table", "search_schema", "relationships", "health")
TOOLS = {"hub_health_check", "hub_list_services", "fetch_more", *(f"postgres_{name}" for name in READING)}
SQL = "SELECT n, 'row ' || n AS name FROM generate_series(1, 3) AS n ORDER BY n"


@pytest.fixture(scope="module")
def settings(postgres_server: Embedded) -> Json:
    return {"plugins": {"postgres": {"dsn": postgres_server.dsn}}}


@pytest.fixture(scope="module")
def hub(probe: Installed, settings: Json, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    with serving(tmp_path_factory.mktemp("hub"), probe, settings=settings) as started:
        yield started


@pytest.fixture(scope="module")
def stdio(probe: Installed, settings: Json, tmp_path_factory: pytest.TempPathFactory) -> StdioServerParameters:
    """How a client starts the hub itself."""
    file = configure(tmp_path_factory.mktemp("stdio"), [probe], settings)
    return StdioServerParameters(
        command=PEGBOARD, args=["stdio", "--config", str(file)], env=environment([probe]), cwd=file.parent
    )


async def works(client: Client) -> None:
    """Whether a client can do what people do: look, ask a database, ask the hub."""
    listed = await client.list_tools()
    assert {tool.name for tool in listed.tools} >= TOOLS | {"probe_echo"}

    answer = await client.call_tool("postgres_query", {"sql": SQL})
    assert not answer.is_error, answer
    assert "row 3" in json.dumps(answer.structured_content)

    health = await client.call_tool("hub_health_check", {})
    assert health.structured_content is not None
    served = [plugin["name"] for plugin in health.structured_content["plugins"] if plugin["state"] == "served"]
    assert served == ["hub", "postgres", "probe"]
    echo = await client.call_tool("probe_echo", {"payload": "héllo ✓"})
    assert isinstance(echo.content[0], TextContent)
    assert echo.content[0].text == "héllo ✓"


@asynccontextmanager
async def connected(transport: Any, mode: str) -> AsyncGenerator[Client]:
    with anyio.fail_after(60):
        async with Client(transport, mode=mode) as client:
            yield client


async def test_the_sdk_works_over_sse(hub: HubProcess) -> None:
    async with connected(sse_client(f"{hub.url}/sse"), "legacy") as client:
        await works(client)


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
async def test_the_sdk_works_over_streamable_http(hub: HubProcess, mode: str) -> None:
    async with connected(f"{hub.url}/mcp", mode) as client:
        assert (client.protocol_version == MODERN) == (mode != "legacy")
        await works(client)


@pytest.mark.parametrize("mode", ["legacy", "auto", MODERN])
async def test_the_sdk_works_over_stdio(stdio: StdioServerParameters, mode: str) -> None:
    async with connected(stdio_client(stdio), mode) as client:
        await works(client)


async def test_a_plugins_own_endpoint_has_its_tools_only(hub: HubProcess) -> None:
    async with connected(sse_client(f"{hub.url}/postgres/sse"), "legacy") as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS - {
            "hub_health_check",
            "hub_list_services",
        }


@pytest.mark.parametrize("options", [("/sse", "--transport", "sse-only"), ("/sse",), ("/mcp",)])
async def test_mcp_remote_works(hub: HubProcess, clients: Clients, tmp_path: Path, options: Sequence[str]) -> None:
    """What Claude Desktop runs, with the transport forced and with the one it finds by itself."""
    path, *rest = options
    node, *script = clients.script(REMOTE)
    remote = StdioServerParameters(
        command=node,
        args=[*script, f"{hub.url}{path}", *rest, "--allow-http"],
        env={**clients.environ, "MCP_REMOTE_CONFIG_DIR": str(tmp_path)},
    )
    with (tmp_path / "log").open("w+") as log:
        async with connected(stdio_client(remote, errlog=log), "legacy") as client:
            await works(client)


@pytest.mark.parametrize(
    ("path", "era"), [("/sse", "legacy"), ("/mcp", "legacy"), ("/mcp", "modern"), ("/mcp", "auto")]
)
async def test_the_inspector_works_over_http(
    hub: HubProcess, clients: Clients, tmp_path: Path, path: str, era: str
) -> None:
    await inspected(clients, tmp_path, [f"{hub.url}{path}", "--protocol-era", era])


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_the_inspector_works_over_stdio(
    stdio: StdioServerParameters, clients: Clients, tmp_path: Path, era: str
) -> None:
    # Not `--config`, which is an option of the Inspector's, too.
    command, _, file = stdio.args
    environ = ["-e", f"PEGBOARD_CONFIG={file}", "-e", f"PYTHONPATH={(stdio.env or {})['PYTHONPATH']}"]
    await inspected(clients, tmp_path, [stdio.command, command, *environ, "--protocol-era", era])


async def test_the_inspector_finds_nothing_wrong_with_the_schemas(
    hub: HubProcess, clients: Clients, tmp_path: Path
) -> None:
    await inspect(clients, tmp_path, [f"{hub.url}/mcp"], "--method", "tools/list", "--strict")


async def inspected(clients: Clients, home: Path, target: Sequence[str]) -> None:
    listed = await inspect(clients, home, target, "--method", "tools/list")
    assert {tool["name"] for tool in listed["tools"]} >= TOOLS
    arguments = ["--tool-name", "postgres_query", "--tool-args-json", json.dumps({"sql": SQL})]
    answer = await inspect(clients, home, target, "--method", "tools/call", *arguments)
    assert not answer.get("isError")
    assert "row 3" in json.dumps(answer)


async def inspect(clients: Clients, home: Path, target: Sequence[str], *arguments: str) -> Json:
    """Run the Inspector once; what it keeps goes to `home`."""
    done = await clients.run(INSPECTOR, "--cli", *target, *arguments, "--format", "json", environ={"HOME": str(home)})
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return json.loads(done.stdout)["result"]
