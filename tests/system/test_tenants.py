"""Tenants, and callers with a login of their own, at a real hub before a real server."""

import json
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.system.processes import HubProcess, configure, serving
from tests.system.recorder import Recorded, recording
from tests.system.test_oauth import awx_double
from tests.system.wire import OPENERS, PATIENCE, Era, Json, Peer, envelope, hello, rpc, sse

from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes
from pegboard_awx.double.seed import OPERATOR_TOKEN, READ_TOKEN, TOKEN, VIEWER_TOKEN

ERAS: tuple[Era, ...] = ("sse", "legacy", "modern")
PATHS = ("", "/awx", "/awx/environments", "/mine")
TENANTS = {None: "admin", "acme": "nora", "guests": "vera"}
HEADER = "X-AWX-Token"

each_era = pytest.mark.parametrize("era", ERAS)


@dataclass(frozen=True, slots=True)
class World:
    """A hub with tenants, the AWX behind it, and a place where nobody should ever come."""

    hub: HubProcess
    folder: Path
    awx: Recorded
    elsewhere: Recorded
    keys: dict[str | None, str]
    settings: dict[str, Any]


def settings_of(url: str, keys: dict[str, Any]) -> dict[str, Any]:
    return {
        "keys": keys,
        "plugins": {"awx": {"url": url, "token": TOKEN}},
        "endpoints": {"mine": {"tools": ["awx_*"]}},
        "tenants": {
            "acme": {"plugins": {"awx": {"token": OPERATOR_TOKEN}}},
            "guests": {"shared": False, "plugins": {"awx": {"token": "env:GUESTS_TOKEN"}}},
        },
        "audit": {"file": "audit.jsonl"},
        "results": {"tokens": 500},
        "log": {"level": "debug", "format": "json"},
    }


def keys_of() -> tuple[dict[str | None, str], dict[str, Any]]:
    """One key for each tenant: as its owner has it, and as it stands in the file."""
    texts: dict[str | None, str] = {}
    tables: dict[str, Any] = {}
    for tenant in TENANTS:
        key, texts[tenant] = Key.create(tenant or "all", Scopes.of(["*"]))
        table = {"id": key.id, "sha256": key.sha256, "scopes": ["*"]}
        tables[tenant or "all"] = table if tenant is None else {**table, "tenant": tenant}
    return texts, tables


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    folder = tmp_path_factory.mktemp("tenants")
    texts, tables = keys_of()
    with awx_double() as port, recording(port) as awx, recording() as elsewhere:
        settings = settings_of(awx.url, tables)
        with serving(folder, settings=settings, environ={"GUESTS_TOKEN": VIEWER_TOKEN}) as hub:
            yield World(hub, folder, awx, elsewhere, texts, settings)


@asynccontextmanager
async def http_of(world: World, tenant: str | None, **headers: str) -> AsyncGenerator[httpx.AsyncClient]:
    given = {"Authorization": f"Bearer {world.keys[tenant]}", **headers}
    async with httpx.AsyncClient(base_url=world.hub.url, headers=given, timeout=PATIENCE, trust_env=False) as http:
        yield http


async def user_of(peer: Peer) -> Any:
    """As whom the tools log in at AWX."""
    return (await tried(peer))["user"]


async def tried(peer: Peer) -> Json:
    answer = await peer.request("tools/call", {"name": "awx_test_environment", "arguments": {}})
    assert not answer["result"].get("isError"), answer
    return answer["result"]["structuredContent"]


async def refused(peer: Peer, tool: str, **arguments: Any) -> str:
    answer = await peer.request("tools/call", {"name": tool, "arguments": arguments})
    assert answer["result"]["isError"], answer
    return answer["result"]["content"][0]["text"]


@each_era
@pytest.mark.parametrize("path", PATHS)
async def test_each_tenant_logs_in_as_its_own_user(world: World, era: Era, path: str) -> None:
    for tenant, user in TENANTS.items():
        async with http_of(world, tenant) as http, OPENERS[era](http, path) as peer:
            assert await user_of(peer) == user


@each_era
async def test_the_token_of_each_request_counts_for_that_request_only(world: World, era: Era) -> None:
    async with http_of(world, None) as http, OPENERS[era](http, "") as peer:
        assert await user_of(peer) == "admin"
        http.headers[HEADER] = VIEWER_TOKEN
        assert await user_of(peer) == "vera"
        http.headers[HEADER] = OPERATOR_TOKEN
        assert await user_of(peer) == "nora"
        del http.headers[HEADER]
        assert await user_of(peer) == "admin"


async def test_a_token_that_only_opened_the_stream_is_not_inherited(world: World) -> None:
    """S-11: it is never taken from the GET."""
    async with http_of(world, "acme", **{HEADER: VIEWER_TOKEN}) as http, sse(http, "/awx", handshake=False) as peer:
        del http.headers[HEADER]
        answer = await peer.request("initialize", hello("2024-11-05"))
        assert "result" in answer
        await peer.notify("notifications/initialized", {})
        assert await user_of(peer) == "nora"


@each_era
@pytest.mark.parametrize("value", ["", "short", "two words in it", "x" * 5000])
async def test_a_token_that_cannot_be_one_is_refused_and_nothing_asked(world: World, era: Era, value: str) -> None:
    """S-11: the hub's own login never stands in for it."""
    async with http_of(world, None) as http, OPENERS[era](http, "") as peer:
        http.headers[HEADER] = value
        before = len(world.awx.received)
        assert "nothing was done" in await refused(peer, "awx_list_jobs")
        assert len(world.awx.received) == before


@each_era
async def test_two_tokens_in_one_request_are_refused(world: World, era: Era) -> None:
    """S-11."""
    async with http_of(world, None) as http, OPENERS[era](http, "") as peer:
        http.headers = httpx.Headers([*http.headers.multi_items(), (HEADER, VIEWER_TOKEN), (HEADER, OPERATOR_TOKEN)])
        assert "more than once" in await refused(peer, "awx_list_jobs")


@pytest.mark.parametrize("credential", [{}, {"Authorization": "Bearer peg_nobody_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}])
async def test_a_token_opens_nothing_by_itself(world: World, credential: dict[str, str]) -> None:
    """S-11: neither without a key nor with a wrong one."""
    params, headers = envelope("tools/call", {"name": "awx_list_jobs", "arguments": {}})
    before = world.awx.connections
    async with httpx.AsyncClient(base_url=world.hub.url, trust_env=False) as http:
        given = {HEADER: VIEWER_TOKEN, **credential}
        posted = await http.post("/mcp", json=rpc("tools/call", params, 1), headers={**headers, **given})
        opened = await http.get("/awx/sse", headers=given)

    assert (posted.status_code, opened.status_code) == (401, 401)
    assert world.awx.connections == before


@each_era
async def test_no_header_leads_elsewhere(world: World, era: Era) -> None:
    """S-11: where a call goes stands in the settings only."""
    place = world.elsewhere.url.removeprefix("http://")
    headers = {
        "X-AWX-Url": world.elsewhere.url,
        "X-AWX-Host": place,
        "X-Forwarded-Host": place,
        "X-AWX-Base-Url": world.elsewhere.url,
        HEADER: VIEWER_TOKEN,
    }
    async with http_of(world, None, **headers) as http, OPENERS[era](http, "/awx") as peer:
        answer = await tried(peer)

    assert (answer["url"], answer["user"]) == (world.awx.url, "vera")
    assert world.elsewhere.connections == 0


@each_era
async def test_a_cursor_is_nobody_elses(world: World, era: Era) -> None:
    """S-40: another tenant, and the same key with another token."""
    async with http_of(world, None) as http, OPENERS[era](http, "") as peer:
        answer = await peer.request("tools/call", {"name": "awx_list_jobs", "arguments": {"page_size": 200}})
        (about,) = [json.loads(block["text"]) for block in answer["result"]["content"] if "cursor" in block["text"]]
        cursor = about["cursor"]
        http.headers[HEADER] = READ_TOKEN
        assert "no such cursor" in await refused(peer, "fetch_more", cursor=cursor)
        del http.headers[HEADER]
        more = await peer.request("tools/call", {"name": "fetch_more", "arguments": {"cursor": cursor}})
        assert not more["result"].get("isError"), more
    async with http_of(world, "acme") as http, OPENERS[era](http, "") as peer:
        assert "no such cursor" in await refused(peer, "fetch_more", cursor=cursor)


async def test_open_sessions_follow_a_reload_of_their_tenant(world: World) -> None:
    acme = {"plugins": {"awx": {"token": VIEWER_TOKEN, "writes": "allow"}}}
    changed = {**world.settings, "tenants": {**world.settings["tenants"], "acme": acme}}
    async with http_of(world, "acme") as http, sse(http, "/awx/jobs") as peer:
        before = (await peer.request("tools/list"))["result"]["tools"]
        configure(world.folder, [], changed)
        world.hub.signal(signal.SIGHUP)
        await world.hub.said("reloaded")
        after = (await peer.request("tools/list"))["result"]["tools"]
        configure(world.folder, [], world.settings)

        assert len(after) > len(before)
        assert "notifications/tools/list_changed" in [note["method"] for note in peer.notes]


def test_what_was_sent_is_found_nowhere(world: World) -> None:
    """S-10, S-23: no key reached AWX, and no token of a caller stands in the log or in the audit."""
    written = world.hub.log.text + (world.folder / "audit.jsonl").read_text()

    assert [key for key in world.keys.values() if key.encode() in world.awx.received] == []
    assert [token for token in (TOKEN, OPERATOR_TOKEN, VIEWER_TOKEN, READ_TOKEN) if token in written] == []
    assert VIEWER_TOKEN.encode() in world.awx.received
    assert HEADER.lower().encode() not in world.awx.received.lower()
