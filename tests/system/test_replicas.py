"""Replicas: each names itself where its SSE clients post to, answers any `/mcp` request, and signs as the others do."""

from collections.abc import Generator

import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.wire import ACCEPT, call, client, connected, hello, rpc, sse


@pytest.fixture(scope="module")
def replica(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    settings = {"server": {"replica": "hub-1", "stateless": True}}
    with serving(tmp_path_factory.mktemp("replica"), probe, settings=settings) as hub:
        yield hub


@pytest.mark.parametrize("path", ["", "/probe"])
async def test_its_name_stands_where_sse_clients_post_to(replica: HubProcess, path: str) -> None:
    async with client(replica.url) as http, sse(http, path) as session:
        assert session.url.startswith(f"{path}/messages/hub-1/?session_id=")
        assert await call(session, "probe_echo", {"payload": "here"}) == "here"
        elsewhere = session.url.replace("hub-1/", "")
        assert (await http.post(elsewhere, json=rpc("ping", None, 9))).status_code in (404, 405)


async def test_no_request_over_mcp_needs_the_one_before(replica: HubProcess) -> None:
    async with client(replica.url) as http:
        opened = await http.post("/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT)
        listed = await http.post("/mcp", json=rpc("tools/list", None, 2), headers=ACCEPT)
    assert "mcp-session-id" not in opened.headers
    assert "probe_echo" in listed.text


@pytest.mark.parametrize("era", ["sse", "modern"])
async def test_clients_do_not_notice(replica: HubProcess, era: str) -> None:
    async with connected(era, replica.url) as peer:  # pyright: ignore[reportArgumentType] # an era
        assert await call(peer, "probe_echo", {"payload": "x"}) == "x"
