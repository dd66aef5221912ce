"""Scopes, confirmations and read-only endpoints over a real hub, on every transport and at every kind of endpoint."""

import json
import re
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.system.installed import install
from tests.system.processes import HubProcess, serving
from tests.system.wire import ACCEPT, OPENERS, Era, Json, Peer, Streamable, answer_of, client, hello, modern, sse

from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

ERAS: tuple[Era, ...] = ("sse", "legacy", "modern")
each_era = pytest.mark.parametrize("era", ERAS)

SOURCE = '''
from pegboard import Call, Group, Plugin, PluginSettings, hookimpl, tool

DONE = []

@tool(read_only=True)
async def look(call: Call[PluginSettings]) -> str:
    """Look around."""
    return f"{len(DONE)} done, in {call.environment}"

@tool
async def burn(item: str, call: Call[PluginSettings]) -> str:
    """Burn an item."""
    DONE.append(item)
    return f"burned {item} in {call.environment}"

def plugin(name):
    class Found:
        @hookimpl
        def hub_plugin(self):
            instructions = f"Use {name} well."
            groups = [Group("all", tools=[look, burn])]
            return Plugin(name=name, groups=groups, instructions=instructions, aliases={"incinerate": "burn"})
    return Found

one, other = plugin("one"), plugin("other")
'''

SCOPES = {"all": ["*"], "reader": ["one:read"], "prod": ["one:*@prod"], "writer": ["one:*"], "nobody": ["metrics"]}
SETTINGS: dict[str, Any] = {
    "plugins": {
        "one": {"writes": "confirm", "environments": {"staging": {}, "prod": {}}},
        "other": {"writes": "allow"},
    },
    "endpoints": {
        "mine": {"tools": ["*"]},
        "safe": {"tools": ["*"], "read_only": True},
        "tiny": {"tools": ["*"], "budget": {"tools": 3, "pinned": ["one_look"]}},
    },
}


@dataclass
class Team:
    """A hub, and the keys of those who use it."""

    hub: HubProcess
    keys: dict[str, str]
    audit: Path

    @asynccontextmanager
    async def peer(self, who: str, era: Era, path: str = "") -> AsyncGenerator[Peer]:
        async with client(self.hub.url) as http:
            http.headers["authorization"] = f"Bearer {self.keys[who]}"
            async with OPENERS[era](http, path) as peer:
                yield peer

    def denied(self) -> list[Json]:
        return [one for one in map(json.loads, self.audit.read_text().splitlines()) if one["event"] == "denied"]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Generator[Team]:
    folder = tmp_path_factory.mktemp("scopes")
    deeds = install(
        folder / "installed", "pegdeeds", {"pegdeeds": SOURCE}, {n: f"pegdeeds:{n}" for n in ("one", "other")}
    )
    made = {name: Key.create(name, Scopes.of(scopes)) for name, scopes in SCOPES.items()}
    keys = {n: {"id": key.id, "sha256": key.sha256, "scopes": SCOPES[n]} for n, (key, _) in made.items()}
    settings = {**SETTINGS, "keys": keys, "audit": {"file": str(folder / "audit.jsonl")}}
    with serving(folder, deeds, settings=settings) as hub:
        yield Team(hub, {name: text for name, (_, text) in made.items()}, folder / "audit.jsonl")


async def names_of(peer: Peer) -> list[str]:
    return [tool["name"] for tool in (await peer.request("tools/list"))["result"]["tools"]]


async def say(peer: Peer, tool: str, /, **arguments: Any) -> str:
    """The text of the result, or that of the error."""
    answer = await peer.request("tools/call", {"name": tool, "arguments": arguments})
    if "error" in answer:
        return f"{answer['error']['code']} {answer['error']['message']}"
    return answer["result"]["content"][0]["text"]


@each_era
@pytest.mark.parametrize("path", ["", "/one", "/one/all", "/mine"])
async def test_a_key_sees_and_calls_what_its_scopes_say(team: Team, era: Era, path: str) -> None:
    """S-18."""
    async with team.peer("reader", era, path) as peer:
        assert await names_of(peer) == ["one_look"]
        assert (await say(peer, "one_look")).endswith("done, in staging")
        for name in ("one_burn", "ONE_LOOK", "One_look", "other_look", "incinerate", "call_tool"):
            assert (await say(peer, name)).startswith("-32602 Unknown tool"), name


@each_era
async def test_a_plugins_endpoint_has_no_tools_of_another(team: Team, era: Era) -> None:
    """S-18: and who asks for one is on record."""
    async with team.peer("all", era, "/one") as peer:
        assert (await say(peer, "other_burn", item="x")).startswith("-32602 Unknown tool: 'other_burn'")
    with anyio.fail_after(5):
        await until_denied(team, "one", "other_burn", "endpoint")


async def until_denied(team: Team, endpoint: str, tool: str, reason: str) -> None:
    """Records are written by a thread; the next call comes after them in the file."""
    found: list[tuple[str, str, str]] = []
    async with team.peer("all", "modern") as peer:
        while (endpoint, tool, reason) not in found:
            assert (await say(peer, "one_look")).endswith("done, in staging")
            found = [(one["endpoint"], one["tool"], one["reason"]) for one in team.denied()]


@each_era
async def test_call_tool_and_search_lead_nowhere_else(team: Team, era: Era) -> None:
    """S-18."""
    async with team.peer("writer", era, "/tiny") as peer:
        assert "search_tools" not in await names_of(peer)
    async with team.peer("all", era, "/tiny") as peer:
        assert (await names_of(peer))[-2:] == ["search_tools", "call_tool"]
        assert "other_burn" in await say(peer, "search_tools", query="burn an item of other")
    async with team.peer("reader", era, "/tiny") as peer:
        assert (await say(peer, "call_tool", name="other_look", arguments={})).startswith("-32602 Unknown tool")


@each_era
async def test_an_environment_is_hidden_like_a_tool(team: Team, era: Era) -> None:
    """S-18."""
    async with team.peer("prod", era) as peer:
        (look, _) = (await peer.request("tools/list"))["result"]["tools"]
        assert look["inputSchema"]["properties"]["environment"] == {"type": "string", "enum": ["prod"]}
        assert "there are prod" in await say(peer, "one_look", environment="staging")
        assert (await say(peer, "one_look", environment="prod")).endswith("done, in prod")
    with anyio.fail_after(5):
        await until_denied(team, "all", "one_look", "environment")


async def begun(team: Team, who: str, era: Era, path: str) -> Json:
    """What a client is told at its begin."""
    async with client(team.hub.url) as http:
        http.headers["authorization"] = f"Bearer {team.keys[who]}"
        if era == "sse":
            async with sse(http, path, handshake=False) as session:
                return (await session.request("initialize", hello("2024-11-05")))["result"]
        if era == "modern":
            async with modern(http, path) as peer:
                return (await peer.request("server/discover"))["result"]
        async with Streamable(http, f"{path}/mcp", ACCEPT).open("initialize", hello(), 0) as response:
            return (await answer_of(response, []))["result"]


@each_era
async def test_the_begin_of_a_session_tells_nothing_of_what_is_hidden(team: Team, era: Era) -> None:
    """S-18: how many tools there are, and of which plugins."""
    assert "more tools are not listed" in (await begun(team, "all", era, "/tiny"))["instructions"]
    assert "instructions" not in await begun(team, "reader", era, "/tiny")
    assert (await begun(team, "reader", era, "/one"))["instructions"] == "Use one well."


async def test_kept_lists_do_not_cross(team: Team) -> None:
    """S-18: the second answer to one key is not the first one to another."""
    lists: dict[str, list[str]] = {}
    for _ in range(2):
        for who in ("all", "reader", "writer"):
            async with team.peer(who, "modern", "/mine") as peer:
                lists.setdefault(who, []).append(json.dumps(await names_of(peer)))
    assert all(first == second for first, second in lists.values())
    assert len({first for first, _ in lists.values()}) == 3


@each_era
async def test_a_read_only_endpoint_has_no_way_to_write(team: Team, era: Era) -> None:
    """S-38."""
    async with team.peer("all", era, "/safe") as peer:
        assert await names_of(peer) == ["hub_health_check", "hub_list_services", "one_look", "other_look"]
        for name in ("one_burn", "other_burn", "incinerate", "one_incinerate", "call_tool"):
            assert (await say(peer, name, item="x")).startswith("-32602 Unknown tool"), name


@each_era
async def test_a_client_that_cannot_ask_confirms_in_two_steps(team: Team, era: Era) -> None:
    """S-38: the first call has done nothing, the second has, a third with the same token has not."""
    async with team.peer("writer", era) as peer:
        call = {"item": f"lamp of {era}", "environment": "prod"}
        refused = await say(peer, "one_burn", **call)
        token = re.search(r'confirmation="([^"]*)"', refused)
        assert token, refused
        assert "Show them what stands below" in refused
        before = await say(peer, "one_look")
        assert await say(peer, "one_burn", **call, confirmation=token[1]) == f"burned lamp of {era} in prod"
        assert await say(peer, "one_look") != before
        assert "was used already" in await say(peer, "one_burn", **call, confirmation=token[1])
    async with team.peer("all", era) as peer:
        again = await say(peer, "one_burn", **call)
        token = re.search(r'confirmation="([^"]*)"', again)
        assert token
    async with team.peer("writer", era) as peer:
        assert "does not count" in await say(peer, "one_burn", **call, confirmation=token[1])
