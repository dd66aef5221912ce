"""The budget in a real process: a port for each endpoint, and a reload under open sessions."""

import itertools
import signal
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from tests.plugins import many
from tests.system.installed import Installed, install
from tests.system.processes import HubProcess, configure, serving

HOOK = """

from pegboard import hookimpl


@hookimpl
def hub_plugin() -> Plugin:
    return many(13)
"""
ENDPOINTS = ["/hub", "/many", "/many/jobs", "/many/job_templates", "/ops"]
"""Those with a port of their own, in order."""
WRITING: dict[str, Any] = {"plugins": {"many": {"writes": "allow"}}}
OPS: dict[str, Any] = {"endpoints": {"ops": {"tools": ["many_*"], "budget": {"tools": 5}}}, **WRITING}


@pytest.fixture(scope="session")
def installed_many(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    source = Path(many.__file__).read_text() + HOOK
    return install(tmp_path_factory.mktemp("many"), "pegmany", {"pegmany": source}, {"many": "pegmany"})


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens at."""
    for first in itertools.count(21_000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    raise AssertionError("no ports are left")


@asynccontextmanager
async def session_at(url: str, heard: list[str] | None = None) -> AsyncGenerator[ClientSession]:
    """The SDK's client of an SSE endpoint, or of `/mcp`."""

    async def hear(message: Any) -> None:
        if heard is not None:
            heard.append(message.method)

    opened = sse_client(url) if url.endswith("/sse") else streamable_http_client(url)
    async with opened as (read, write, *_), ClientSession(read, write, message_handler=hear) as session:
        await session.initialize()
        yield session


async def names_at(session: ClientSession) -> list[str]:
    return [tool.name for tool in (await session.list_tools()).tools]


async def reloaded(hub: HubProcess, folder: Path, plugin: Installed, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `/health` says of the configuration after a file was written and SIGHUP was handled."""
    async with httpx.AsyncClient(base_url=hub.url) as http:
        before = (await http.get("/health")).json()["configuration"]
        configure(folder, [plugin], {**WRITING, **settings})
        hub.signal(signal.SIGHUP)
        with anyio.fail_after(10):
            while (now := (await http.get("/health")).json()["configuration"])["attempts"] == before["attempts"]:
                await anyio.sleep(0.02)  # `pegboard reload` asks in the same way
        return now


async def test_every_endpoint_has_a_port_of_its_own(installed_many: Installed, tmp_path: Path) -> None:
    first = free_ports(len(ENDPOINTS))
    with serving(tmp_path, installed_many, settings={**OPS, "server": {"split_ports": first}}) as hub:
        with anyio.fail_after(30):
            for port, path in enumerate(ENDPOINTS, first):
                async with session_at(f"{hub.url}{path}/sse") as session:
                    names = await names_at(session)
                await check_port(f"http://127.0.0.1:{port}", path, names)


async def check_port(url: str, own: str, names: list[str]) -> None:
    """Everything a hub has at its root, for one endpoint."""
    async with httpx.AsyncClient(base_url=url) as http:
        (endpoint,) = (await http.get("/")).json()["endpoints"]
        assert (endpoint["sse"], endpoint["mcp"], endpoint["tools"]) == (f"{url}/sse", f"{url}/mcp", names)
        assert (await http.get("/", headers={"accept": "text/html"})).text.count("<tr><td>") == 1
        assert (await http.get("/health")).json()["configuration"]["generation"] == 1
        assert (await http.get("/ready")).json()["ready"]
        assert "pegboard_budget_listed_tools" in (await http.get("/metrics")).text
        for path in {"/hub", "/many", "/many/jobs", "/ops", "/profiles/small"} - {own}:
            assert (await http.get(f"{path}/sse")).status_code == 404
    for path in ("/sse", "/mcp"):
        async with session_at(f"{url}{path}") as session:
            assert await names_at(session) == names
            result = await session.call_tool(names[0], {})
            assert result.content


async def test_a_port_that_is_taken_is_told(installed_many: Installed, tmp_path: Path) -> None:
    first = free_ports(len(ENDPOINTS))
    with socket.create_server(("127.0.0.1", first + 2)):
        with pytest.raises(AssertionError, match=f"cannot listen on 127.0.0.1:{first + 2}"):
            with serving(tmp_path, installed_many, settings={**OPS, "server": {"split_ports": first}}):
                pytest.fail("the hub must not start")


@pytest.mark.parametrize("where", ["/sse", "/mcp"])
async def test_a_reload_reaches_open_sessions(where: str, installed_many: Installed, tmp_path: Path) -> None:
    heard: list[str] = []
    with serving(tmp_path, installed_many, settings=WRITING) as hub:
        with anyio.fail_after(30):
            async with session_at(f"{hub.url}/many{where}", heard) as session:
                assert len(await names_at(session)) == 13

                now = await reloaded(hub, tmp_path, installed_many, {"budget": {"tools": 8}})

                assert (now["generation"], now["problem"]) == (2, None)
                names = await names_at(session)
                assert len(names) == 8
                assert names[-2:] == ["search_tools", "call_tool"]
                found = await session.call_tool("call_tool", {"name": "many_delete_jobs", "id": 7})
                assert found.structured_content == {"id": 7}
                while not heard:
                    await anyio.sleep(0.02)  # the notification comes on a stream of its own

    assert heard == ["notifications/tools/list_changed"]


async def test_a_reload_of_a_wrong_file_changes_nothing_and_says_why(installed_many: Installed, tmp_path: Path) -> None:
    heard: list[str] = []
    with serving(tmp_path, installed_many, settings=OPS) as hub:
        with anyio.fail_after(30):
            async with session_at(f"{hub.url}/ops/sse", heard) as session:
                before = await names_at(session)
                wrong = {"endpoints": {"ops": {"tools": ["many_*"], "budget": {"tools": 1}}}}

                now = await reloaded(hub, tmp_path, installed_many, wrong)
                assert (now["generation"], await names_at(session)) == (1, before)
                assert now["problem"].startswith("endpoint ops: a budget of 1 tools")

                now = await reloaded(hub, tmp_path, installed_many, {"budgets": {}})
                assert (now["generation"], await names_at(session)) == (1, before)
                assert "budgets: unknown key; did you mean 'budget'?" in now["problem"]

                (tmp_path / "pegboard.toml").write_text("[budget")
                hub.signal(signal.SIGHUP)
                await hub.said("the configuration was not reloaded, the old one stays: .*not valid TOML")
                assert await names_at(session) == before

                assert (await reloaded(hub, tmp_path, installed_many, OPS))["problem"] is None

    assert heard == []


async def test_endpoints_come_and_go_with_a_reload(installed_many: Installed, tmp_path: Path) -> None:
    with serving(tmp_path, installed_many) as hub:
        with anyio.fail_after(30):
            await reloaded(hub, tmp_path, installed_many, OPS)
            async with session_at(f"{hub.url}/ops/sse") as session:
                assert len(await names_at(session)) == 5

            async with httpx.AsyncClient(base_url=hub.url) as http:
                async with http.stream("GET", "/ops/sse") as stream:
                    await reloaded(hub, tmp_path, installed_many, {})
                    assert await stream.aread()  # to its end
                assert (await http.get("/ops/sse")).status_code == 404
        assert "ERROR" not in hub.log.text


async def test_a_list_is_the_same_to_the_byte_after_a_restart(installed_many: Installed, tmp_path: Path) -> None:
    lists: list[dict[str, bytes]] = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        with serving(tmp_path / str(number), installed_many, settings=OPS) as hub:
            with anyio.fail_after(30):
                lists.append({path: await raw_list(f"{hub.url}{path}/mcp") for path in ["", "/many", "/ops"]})

    assert lists[0] == lists[1]


async def raw_list(url: str) -> bytes:
    """`tools/list` of 2026-07-28 as it comes over the wire."""
    version = "2026-07-28"
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": version,
        "mcp-method": "tools/list",
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    async with httpx.AsyncClient() as http:
        answer = await http.post(url, json=message, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.content
