"""Keys over a real hub: on every transport, for the one who has them, and only for as long as they count."""

import json
import re
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from tests.system.installed import Installed
from tests.system.npm import Clients
from tests.system.processes import PEGBOARD, HubProcess, environment, serving
from tests.system.test_real_clients import REMOTE
from tests.system.wire import ACCEPT, LEGACY, OPENERS, Era, Peer, call, client, envelope, hello, legacy, rpc, sse

from pegboard.cli.clients import mcp_remote
from pegboard.cli.connection import remote
from pegboard.security.keyfile import changing
from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

ERAS: tuple[Era, ...] = ("sse", "legacy", "modern")
WITHIN = 5.0
"""Seconds after which a stream of a key that counts no more has to be closed."""


@dataclass
class Guarded:
    """A hub that asks for keys, and its file of them."""

    hub: HubProcess
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "keys.json"

    def create(self, name: str, *scopes: str, **given: Any) -> str:
        key, text = Key.create(name, Scopes.of(scopes or ["*"]), **given)
        with changing(self.file) as keys:
            keys.append(key)
        return text

    def change(self, name: str, change: Callable[[Key], Key]) -> None:
        with changing(self.file) as keys:
            keys[:] = [change(key) if key.name == name else key for key in keys]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `pegboard` beside the hub."""
        environ = environment([])
        command = [PEGBOARD, *arguments]
        return subprocess.run(command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=30)

    async def known(self, key: str) -> None:
        """Wait until the hub has noticed a new key."""
        async with client(self.hub.url) as http:
            with anyio.fail_after(WITHIN):
                while (await http.get("/", headers=bearer(key))).status_code != 200:
                    await anyio.sleep(0.05)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def guarded(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    made = subprocess.run(
        [PEGBOARD, "keys", "create", "first", "--scope", "*", "--file", "keys.json"],
        cwd=folder, env=environment([]), capture_output=True, check=True, timeout=30,
    )  # fmt: skip
    assert re.fullmatch(rb"peg_[a-z0-9]+_\w+\n", made.stdout)
    settings = {
        "auth": {"keys_file": "keys.json"},
        "endpoints": {"mine": {"tools": ["probe_*"]}},
        "limits": {"failures_per_minute": 1000},
        "server": {"max_sessions": 2000},
    }
    with serving(folder, probe, settings=settings) as hub:
        yield Guarded(hub, folder)


@pytest.fixture(scope="module")
async def alice(guarded: Guarded) -> str:
    key = guarded.create("alice")
    await guarded.known(key)
    return key


@pytest.fixture(scope="module")
async def bob(guarded: Guarded) -> str:
    key = guarded.create("bob")
    await guarded.known(key)
    return key


def with_key(http: httpx.AsyncClient, key: str) -> httpx.AsyncClient:
    http.headers.update(bearer(key))
    return http


@asynccontextmanager
async def opened(hub: HubProcess, key: str, era: Era, path: str = "") -> AsyncGenerator[Peer]:
    async with client(hub.url) as http, OPENERS[era](with_key(http, key), path) as peer:
        yield peer


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("path", ["", "/probe", "/mine"])
async def test_a_key_opens_every_endpoint_on_every_transport(guarded: Guarded, alice: str, era: Era, path: str) -> None:
    async with opened(guarded.hub, alice, era, path) as peer:
        assert await call(peer, "probe_echo", {"payload": "hello"}) == "hello"


@pytest.mark.parametrize("place", ["/sse", "/mcp", "/probe/mcp"])
async def test_the_sdks_client_works_with_the_header(guarded: Guarded, alice: str, place: str) -> None:
    async with remote(guarded.hub.url + place, alice) as peer:
        assert "probe_echo" in {tool.name for tool in (await peer.list_tools()).tools}


async def test_a_key_may_come_by_basic_or_as_an_internal_token(guarded: Guarded, alice: str) -> None:
    async with client(guarded.hub.url) as http:
        answers = [
            await http.get("/", auth=("alice", alice)),
            await http.get("/", auth=("bob", alice)),
            await http.get("/", headers={"X-Internal-Token": alice}),
            await http.get("/", params={"key": alice}),
        ]
    assert [answer.status_code for answer in answers] == [200, 401, 200, 401]


@pytest.mark.parametrize("path", ["", "/probe", "/mine"])
async def test_nobody_gets_in_without_a_key(guarded: Guarded, path: str) -> None:
    """S-03: on every transport, at every endpoint; and nothing of the catalogue is in the answer."""
    params, headers = envelope("tools/list")
    async with client(guarded.hub.url) as http:
        answers = [
            await http.get(f"{path}/sse"),
            await http.post(f"{path}/messages/?session_id={'0' * 32}", json=rpc("tools/list", {}, 1)),
            await http.post(f"{path}/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT),
            await http.post(f"{path}/mcp", json=rpc("tools/list", params, 1), headers=headers),
            await http.post(f"{path}/mcp", json=rpc("tools/list", params, 1), headers=headers | bearer("peg_x")),
        ]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert all(answer.headers["www-authenticate"].startswith("Bearer ") for answer in answers)
    assert not any("probe_" in answer.text for answer in answers)


@pytest.mark.parametrize("path", ["", "/probe", "/mine"])
async def test_an_sse_session_is_not_there_for_another_key(guarded: Guarded, alice: str, bob: str, path: str) -> None:
    """S-05: the answer is that of a session nobody has."""
    message = rpc("tools/call", {"name": "probe_echo", "arguments": {"payload": "stolen"}}, 66)
    async with client(guarded.hub.url) as http, client(guarded.hub.url) as own, sse(with_key(own, alice), path) as peer:
        url = peer.url
        stolen = await http.post(url, json=message, headers=bearer(bob))
        strange = await http.post(re.sub("=.*", f"={'0' * 32}", url), json=message, headers=bearer(bob))
        nobody = await http.post(url, json=message)

        assert (stolen.status_code, stolen.text) == (strange.status_code, strange.text)
        assert (stolen.status_code, nobody.status_code) == (404, 401)
        assert await call(peer, "probe_echo", {"payload": "mine"}) == "mine"
        assert peer.unclaimed() == []


@pytest.mark.parametrize("path", ["", "/probe", "/mine"])
async def test_a_session_of_mcp_is_not_there_for_another_key(guarded: Guarded, alice: str, bob: str, path: str) -> None:
    """S-05: its calls, its stream and its end."""
    hub = guarded.hub
    async with client(hub.url) as http, client(hub.url) as own, legacy(with_key(own, alice), path) as peer:
        statuses: list[int] = []
        for credential in (bearer(bob), {}):
            given = {**peer.headers, **credential}
            statuses += [
                (await http.post(f"{path}/mcp", json=rpc("tools/list", {}, 1), headers=given)).status_code,
                (await http.get(f"{path}/mcp", headers=given)).status_code,
                (await http.delete(f"{path}/mcp", headers=given)).status_code,
            ]

        assert statuses == [404] * 3 + [401] * 3
        assert await call(peer, "probe_echo", {"payload": "mine"}) == "mine"


async def test_session_ids_are_random_and_not_in_the_log(guarded: Guarded, alice: str) -> None:
    """S-06: a thousand of 128 bits, each one once."""
    ids: list[str] = []
    async with client(guarded.hub.url) as http:
        http.headers.update(bearer(alice))

        async def open_some() -> None:
            for _ in range(50):
                async with http.stream("GET", "/probe/sse") as stream:
                    ids.append(re.findall(r"session_id=(\w+)", await anext(stream.aiter_text()))[0])
                answer = await http.post("/probe/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT)
                ids.append(answer.headers["mcp-session-id"])
                await http.delete("/probe/mcp", headers={"Mcp-Session-Id": ids[-1]})

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(open_some)

    assert len(set(ids)) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    ones = [sum(int(one[index], 16).bit_count() for one in ids) for index in range(32)]
    assert sum(1700 < count < 2300 for count in ones) >= 29, ones  # a version 4 UUID has six bits that are fixed
    assert not any(one in guarded.hub.log.text for one in ids)


@asynccontextmanager
async def streams(hub: HubProcess, key: str) -> AsyncGenerator[Mapping[str, anyio.Event]]:
    """Every kind of stream a key can hold open, each with the event of its end."""
    ended = {name: anyio.Event() for name in ("sse", "legacy", "modern")}
    whole: list[str] = []
    ready = {name: anyio.Event() for name in ended}

    async def hold(name: str, response: AbstractAsyncContextManager[httpx.Response]) -> None:
        async with response as stream:
            assert stream.status_code == 200, name
            ready[name].set()
            with suppress(httpx.RemoteProtocolError):
                async for _ in stream.aiter_bytes():
                    pass
                whole.append(name)  # it was ended, and not cut off
            ended[name].set()

    params, headers = envelope("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    async with client(hub.url) as http, anyio.create_task_group() as tasks:
        http.headers.update(bearer(key))
        opening = await http.post("/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT)
        session = {"Mcp-Session-Id": opening.headers["mcp-session-id"], "MCP-Protocol-Version": LEGACY}
        accept = {"Accept": "text/event-stream"}
        tasks.start_soon(hold, "sse", http.stream("GET", "/sse"))
        tasks.start_soon(hold, "legacy", http.stream("GET", "/mcp", headers=accept | session))
        listening = rpc("subscriptions/listen", params, 9)
        tasks.start_soon(hold, "modern", http.stream("POST", "/mcp", json=listening, headers=headers))
        with anyio.fail_after(10):
            for event in ready.values():
                await event.wait()
        yield ended
        tasks.cancel_scope.cancel()
    assert set(whole) == {name for name, event in ended.items() if event.is_set()}


async def seconds_until(events: Mapping[str, anyio.Event]) -> float:
    start = time.monotonic()
    with anyio.fail_after(3 * WITHIN):
        for event in events.values():
            await event.wait()
    return time.monotonic() - start


async def test_the_streams_of_a_revoked_key_end_and_those_of_others_go_on(guarded: Guarded, alice: str) -> None:
    """S-31: within 5 s, by the command; the key itself is refused within about one."""
    key = guarded.create("leaving")
    await guarded.known(key)
    async with (
        streams(guarded.hub, key) as ended,
        streams(guarded.hub, alice) as others,
        client(guarded.hub.url) as http,
    ):
        done = await anyio.to_thread.run_sync(lambda: guarded.run("keys", "revoke", "leaving", "--file", "keys.json"))
        assert done.returncode == 0, done.stderr
        revoked = time.monotonic()
        while (await http.get("/", headers=bearer(key))).status_code != 401:
            await anyio.sleep(0.05)
        assert time.monotonic() - revoked < 2.5
        assert await seconds_until(ended) < WITHIN
        assert not any(event.is_set() for event in others.values())


async def test_the_calls_of_a_revoked_key_end_and_those_of_others_go_on(guarded: Guarded, alice: str) -> None:
    """S-31: over `/mcp`, at every kind of endpoint, long before their deadline of 60 s, and the client reads why."""
    key = guarded.create("busy")
    await guarded.known(key)
    told: dict[str, str] = {}
    answers: list[str] = []
    eras: tuple[Era, ...] = ("legacy", "modern")
    begun: dict[str, tuple[Era, str]] = {
        f"{era}{path}": (era, path) for era in eras for path in ("", "/probe", "/mine")
    }

    async def hold(tag: str, era: Era, path: str) -> None:
        async with opened(guarded.hub, key, era, path) as peer:
            answer = await peer.request("tools/call", {"name": "probe_hold", "arguments": {"tag": tag}})
            told[tag] = json.dumps(answer)

    async def stay() -> None:
        async with opened(guarded.hub, alice, "modern") as peer:
            answers.append(await call(peer, "probe_hold", {"tag": "stays"}))

    with anyio.fail_after(4 * WITHIN):
        async with opened(guarded.hub, alice, "modern") as watcher, anyio.create_task_group() as tasks:
            tasks.start_soon(stay)
            for tag, (era, path) in begun.items():
                tasks.start_soon(hold, tag, era, path)
            for tag in ("stays", *begun):
                await call(watcher, "probe_until", {"tag": tag, "state": "started"})
            guarded.change("busy", lambda one: one.revoked())
            revoked = time.monotonic()
            for tag in begun:
                await call(watcher, "probe_until", {"tag": tag, "state": "cancelled"})
            while len(told) < len(begun):
                await anyio.sleep(0.01)
            assert time.monotonic() - revoked < 2.5  # a look at the file each second, and a check each second
            assert answers == []
            await call(watcher, "probe_release", {"tag": "stays"})

    assert answers == ["stays"]
    assert {tag for tag, answer in told.items() if "was taken back" in answer} == set(begun)


async def test_the_streams_of_a_key_that_expires_end(guarded: Guarded) -> None:
    """S-31."""
    key = guarded.create("short", expires_at=time.time() + 3)
    await guarded.known(key)
    async with streams(guarded.hub, key) as ended, client(guarded.hub.url) as http:
        guarded.change("short", lambda one: replace(one, expires_at=time.time()))
        assert await seconds_until(ended) < WITHIN
        assert (await http.get("/", headers=bearer(key))).status_code == 401


async def test_a_broken_file_of_keys_lets_nobody_in_and_ends_what_is_open(guarded: Guarded, alice: str) -> None:
    """S-31, S-04: 503 at once, streams within seconds, one line of the log; and all is well again with the file."""
    whole = guarded.file.read_text()
    async with streams(guarded.hub, alice) as ended, client(guarded.hub.url) as http:
        guarded.file.write_text("{")
        try:
            assert await seconds_until(ended) < 2 * WITHIN
            answers = [await http.get("/", headers=bearer(alice)) for _ in range(20)]
            health = await http.get("/health")
        finally:
            guarded.file.write_text(whole)
        await guarded.known(alice)

    assert {answer.status_code for answer in answers} == {503}
    assert health.status_code == 200
    assert guarded.hub.log.text.count("this is no JSON") == 1


async def test_a_running_hub_takes_a_new_key_without_a_restart(guarded: Guarded) -> None:
    key = guarded.create("new", "probe:read")
    start = time.monotonic()
    await guarded.known(key)

    assert time.monotonic() - start < 2.5


@pytest.mark.parametrize("place", ["/sse", "/mcp"])
async def test_mcp_remote_sends_the_key_from_the_variable(
    guarded: Guarded, alice: str, clients: Clients, tmp_path: Path, place: str
) -> None:
    """As `pegboard connect` writes it: the key is in no argument."""
    node, *script = clients.script(REMOTE)
    arguments = mcp_remote(guarded.hub.url + place, key=True)[1:]
    assert not any(alice in argument for argument in arguments)
    environ = {**clients.environ, "MCP_REMOTE_CONFIG_DIR": str(tmp_path), "PEGBOARD_KEY": alice}
    server = StdioServerParameters(command=node, args=[*script, *arguments], env=environ)
    with (tmp_path / "log").open("w+") as log, anyio.fail_after(60):
        async with Client(stdio_client(server, errlog=log), mode="legacy") as peer:
            answer = await peer.call_tool("probe_echo", {"payload": "hello"})
    assert json.dumps(answer.model_dump(mode="json")["content"]).count("hello") == 1
