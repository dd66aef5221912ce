"""Several workers, attacked: what one hands to another is asked for its key there, and nobody else can hand over."""

import json
import re
import stat
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import anyio
import psutil
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.wire import ACCEPT, Json, call, client, envelope, hello, legacy, restless, rpc, sse

from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

TIMES = 12
"""Connections for each attack, so that both workers get some: all to one would be a chance of 1 in 2000."""
PLACES = ("", "/probe", "/mine")


@dataclass
class Guarded:
    hub: HubProcess
    file: Path
    keys: dict[str, str]

    def bearer(self, name: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys[name]}"}


@pytest.fixture(scope="module")
def guarded(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[Guarded]:
    folder, keys = tmp_path_factory.mktemp("attacked"), dict[str, str]()
    with changing(folder / "keys.json") as stored:
        for name in ("alice", "bob", "leaving"):
            key, keys[name] = Key.create(name, Scopes.of(["*"]))
            stored.append(key)
    settings = {
        "server": {"workers": 2, "replica": "hub-1"},
        "auth": {"keys_file": "keys.json"},
        "endpoints": {"mine": {"tools": ["probe_*"]}},
        "limits": {"failures_per_minute": 10_000},
    }
    with serving(folder, probe, settings=settings) as hub:
        yield Guarded(hub, folder / "keys.json", keys)


ECHO = rpc("tools/call", {"name": "probe_echo", "arguments": {"payload": "stolen"}}, 66)


@pytest.mark.parametrize("path", PLACES)
async def test_a_session_is_not_there_for_another_key_at_any_worker(guarded: Guarded, path: str) -> None:
    """S-05: neither of `/mcp` nor of SSE, by whatever worker, and without a key nobody gets that far."""
    seen: set[int] = set()
    async with client(guarded.hub.url) as own, client(guarded.hub.url) as long, restless(guarded.hub.url) as http:
        own.headers.update(guarded.bearer("alice"))
        long.headers.update(guarded.bearer("alice"))
        async with legacy(own, path) as peer, sse(long, path) as stream:
            for _ in range(TIMES):
                for who, status in ((guarded.bearer("bob"), 404), ({}, 401)):
                    given = {**peer.headers, **who}
                    answers = [
                        await http.post(f"{path}/mcp", json=ECHO, headers=given),
                        await http.get(f"{path}/mcp", headers=given),
                        await http.delete(f"{path}/mcp", headers=given),
                        await http.post(stream.url, json=ECHO, headers=who),
                    ]
                    seen |= {answer.status_code for answer in answers if answer.status_code != status}
            assert seen == set()
            assert await call(peer, "probe_echo", {"payload": "mine"}) == "mine"
            assert await call(stream, "probe_echo", {"payload": "mine"}) == "mine"
            assert stream.unclaimed() == []


async def test_ids_that_were_made_up_lead_nowhere(guarded: Guarded) -> None:
    """S-05: an id names its worker, and whoever names another one reaches nothing there."""
    async with client(guarded.hub.url) as own, restless(guarded.hub.url) as http:
        own.headers.update(guarded.bearer("alice"))
        http.headers.update(guarded.bearer("alice"))
        async with legacy(own) as peer:
            mark, _, bare = peer.headers["Mcp-Session-Id"].rpartition("-")
            other = {"hub-1-w0": "hub-1-w1", "hub-1-w1": "hub-1-w0"}[mark]
            forged = [f"{other}-{bare}", f"{mark}-{other}-{bare}", f"{other}-{mark}-{bare}", f"hub-1-w7-{bare}"]
            forged += [f"{mark}-", f"../{mark}-{bare}", f"{mark}-{'0' * 32}", f"{mark}-{bare}-", f"{mark}--{bare}"]
            for session in forged:
                for _ in range(4):
                    answer = await http.post("/mcp", json=ECHO, headers={**peer.headers, "Mcp-Session-Id": session})
                    assert answer.status_code == 404, session
            for name in (other, "hub-1-w7", "hub-1", "w0", "..", "%2e%2e"):
                where = f"/messages/{name}/?session_id={bare}"
                assert (await http.post(where, json=ECHO)).status_code in (404, 405), name
            assert await call(peer, "probe_echo", {"payload": "mine"}) == "mine"


async def test_a_session_that_is_named_twice_is_refused_by_every_worker(guarded: Guarded) -> None:
    """S-20: the first could decide who serves it, and the second whose it is."""
    async with client(guarded.hub.url) as own, client(guarded.hub.url) as bobs, restless(guarded.hub.url) as http:
        own.headers.update(guarded.bearer("alice"))
        bobs.headers.update(guarded.bearer("bob"))
        async with legacy(own) as alices, legacy(bobs) as bob:
            for first, second in ((alices, bob), (bob, alices)):
                names = [("Mcp-Session-Id", peer.headers["Mcp-Session-Id"]) for peer in (first, second)]
                given = [*ACCEPT.items(), *guarded.bearer("bob").items(), *names]
                for _ in range(4):
                    assert (await http.post("/mcp", json=ECHO, headers=given)).status_code == 400


async def test_headers_make_nobody_a_worker(guarded: Guarded) -> None:
    """S-34: where a request comes from, and that it was handed over, is nothing a client can say."""
    claims = {
        "X-Forwarded-For": "127.0.0.2",
        "Forwarded": "for=127.0.0.2",
        "X-Forwarded-Host": "evil.example",
        "pegboard.endpoint": "/probe",
        "pegboard.principal": "alice",
        "X-Worker": "hub-1-w0",
    }
    params, headers = envelope("tools/list")
    async with restless(guarded.hub.url) as http:
        for _ in range(TIMES):
            assert (await http.get("/health", headers=claims)).status_code == 200
            answer = await http.post("/mcp", json=rpc("tools/list", params, 1), headers=headers | claims)
            assert answer.status_code == 401
            evil = await http.get("/health", headers={"Host": "evil.example"})
            assert evil.status_code == 421
            assert "workers" not in evil.text
            assert (await http.get("/metrics", headers=claims)).status_code == 401


async def test_nobody_else_reaches_the_door_of_a_worker(guarded: Guarded) -> None:
    """S-03: it asks for no key, so that its folder and its socket are for this user only."""
    workers = psutil.Process(guarded.hub.pid).children()
    doors = {Path(str(at.laddr)) for one in workers for at in one.net_connections("unix") if at.laddr}
    doors = {door for door in doors if door.is_socket()}
    assert len(doors) == 2
    for door in doors:
        assert stat.S_IMODE(door.stat().st_mode) == 0o600
        assert stat.S_IMODE(door.parent.stat().st_mode) == 0o700


async def test_the_calls_of_a_revoked_key_end_at_every_worker(guarded: Guarded) -> None:
    """S-31: also those that one worker has handed to another."""
    told: dict[int, Json] = {}

    async def hold(number: int, headers: dict[str, str]) -> None:
        message = rpc("tools/call", {"name": "probe_hold", "arguments": {"tag": f"{number}"}}, number)
        async with restless(guarded.hub.url) as http:
            answer = await http.post("/mcp", json=message, headers=headers)
        (data,) = re.findall("^data: (.+)$", answer.text, re.MULTILINE)
        told[number] = json.loads(data)

    with anyio.fail_after(20):
        async with client(guarded.hub.url) as own, anyio.create_task_group() as tasks:
            own.headers.update(guarded.bearer("leaving"))
            opened = await own.post("/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT)
            session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], **ACCEPT, **guarded.bearer("leaving")}
            await own.post("/mcp", json=rpc("notifications/initialized", {}), headers=session)
            for number in range(100, 100 + TIMES):
                tasks.start_soon(hold, number, session)
            for number in range(100, 100 + TIMES):
                started = {"name": "probe_until", "arguments": {"tag": f"{number}", "state": "started"}}
                answer = await own.post("/mcp", json=rpc("tools/call", started, 7), headers=session)
                assert answer.status_code == 200, answer.text
            with changing(guarded.file) as stored:
                stored[:] = [key.revoked() if key.name == "leaving" else key for key in stored]

    assert len(told) == TIMES
    assert all("was taken back" in answer["error"]["message"] for answer in told.values()), told
