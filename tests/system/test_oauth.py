"""Tokens of a real authorization server, shown to a real hub."""

import re
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl
from tests.authserver import AuthServer, free_port, listening
from tests.issuer import jwk_of, rsa_key
from tests.system.installed import install
from tests.system.processes import HubProcess, serving
from tests.system.raw import exchange
from tests.system.recorder import Recorded, recording
from tests.system.wire import OPENERS, PATIENCE, Era, Peer, call

UPSTREAM = """
from pegboard import HTTP, Call, Plugin, PluginSettings, hookimpl, tool


class Settings(PluginSettings):
    url: str


@tool(read_only=True)
async def ask(call: Call[Settings]) -> int:
    '''Ask what is behind.'''
    http = await call.pool(HTTP, call.settings.url)
    return (await http.get("/api/")).status_code


@hookimpl
def hub_plugin() -> Plugin:
    return Plugin(name="upstream", settings=Settings, tools=[ask])
"""
ERAS: tuple[Era, ...] = ("sse", "legacy", "modern")
PLACES = ("", "/upstream", "/awx/core", "/mine")


@dataclass(frozen=True, slots=True)
class World:
    """A hub, whose tokens it takes, and what its plugins speak to."""

    hub: HubProcess
    auth: AuthServer
    upstream: Recorded


@contextmanager
def awx_double() -> Generator[int]:
    """The port of the double of AWX, in a process of its own."""
    command = [sys.executable, "-m", "pegboard_awx.double", "--port", "0", "--speed", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline().strip().rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def hub_of(folder: Path, auth: AuthServer, upstream: str) -> Generator[HubProcess]:
    installed = install(folder / "installed", "pegupstream", {"pegupstream": UPSTREAM}, {"upstream": "pegupstream"})
    settings: Mapping[str, Any] = {
        "server": {"port": int(auth.resource.rpartition(":")[2])},
        "oauth": {"issuer": auth.url, "resource": auth.resource, "scopes": {"everything": ["*"]}, "ask_for": ["read"]},
        "endpoints": {"mine": {"tools": ["upstream_*"]}},
        "plugins": {"upstream": {"url": upstream}, "awx": {"url": upstream, "token": "the-token-of-the-hub"}},
        "audit": {"file": "audit.jsonl"},
        "limits": {"failures_per_minute": 1000},
    }
    with serving(folder, installed, settings=settings) as hub:
        yield hub


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    auth = AuthServer(free_port(), f"http://127.0.0.1:{free_port()}")
    with listening(auth), awx_double() as awx, recording(awx) as upstream:
        with hub_of(tmp_path_factory.mktemp("oauth"), auth, upstream.url) as hub:
            yield World(hub, auth, upstream)


@asynccontextmanager
async def http_of(hub: HubProcess, token: str | None = None) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    async with httpx.AsyncClient(
        base_url=hub.url, headers=headers, timeout=PATIENCE, verify=False, trust_env=False
    ) as http:
        yield http


@asynccontextmanager
async def peer_of(world: World, era: Era, path: str, token: str) -> AsyncGenerator[Peer]:
    async with http_of(world.hub, token) as http, OPENERS[era](http, path) as peer:
        yield peer


async def status_of(world: World, token: str, path: str = "/sse") -> int:
    """The status of the first line of an answer; the rest is not waited for."""
    async with http_of(world.hub, token) as http, http.stream("GET", path) as response:
        return response.status_code


# What counts


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("path", PLACES)
async def test_a_token_of_the_hub_counts_everywhere(world: World, era: Era, path: str) -> None:
    async with peer_of(world, era, path, world.auth.token()) as peer:
        tools = (await peer.request("tools/list"))["result"]["tools"]

    assert tools


@pytest.mark.parametrize("era", ERAS)
async def test_a_token_of_one_endpoint_counts_there_alone(world: World, era: Era) -> None:
    """S-09: on every transport."""
    end = "/sse" if era == "sse" else "/mcp"
    token = world.auth.token(aud=f"{world.auth.resource}/upstream{end}")
    async with peer_of(world, era, "/upstream", token) as peer:
        assert await call(peer, "upstream_ask") == "200"

    async with http_of(world.hub, token) as http:
        for path in ("", "/awx/core", "/mine"):
            answer = await (http.get(f"{path}/sse") if era == "sse" else http.post(f"{path}/mcp"))
            assert answer.status_code == 401
            assert "the token was issued for another resource" in answer.headers["www-authenticate"]


async def test_whoever_has_no_scope_here_is_told_to_ask_for_one(world: World) -> None:
    async with http_of(world.hub, world.auth.token(scope="postgres:*")) as http:
        answers = [await http.get("/upstream/sse"), await http.post("/upstream/mcp")]

    for answer in answers:
        assert answer.status_code == 403
        assert 'error="insufficient_scope", scope="read"' in answer.headers["www-authenticate"]


async def test_a_stream_ends_with_its_token(world: World) -> None:
    """S-31: a stream that was opened with a token closes when that has expired."""
    async with http_of(world.hub, world.auth.token(exp=int(time.time()) + 2)) as http:
        async with http.stream("GET", "/sse") as response:
            assert response.status_code == 200
            with anyio.fail_after(8):
                async for _ in response.aiter_bytes():
                    pass


# S-08


async def test_a_forged_token_is_refused_and_nobody_is_asked(world: World) -> None:
    """S-08: `jku` and `x5u` lead to a listener that nobody comes to; 401 on every route."""
    attacker = rsa_key("attacker")
    with recording() as evil:
        headers = [{"jku": f"{evil.url}/keys"}, {"x5u": f"{evil.url}/chain"}, {"jwk": jwk_of(attacker, "one")}]
        headers += [{"kid": f"{evil.url}/keys"}, {"kid": "unknown", "jku": f"{evil.url}/keys"}]
        statuses = {await status_of(world, world.auth.token(key=attacker, headers=header)) for header in headers}
        async with http_of(world.hub, world.auth.token(key=attacker, headers=headers[0])) as http:
            posts = [await http.post(path) for path in ("/mcp", "/messages/?session_id=0", "/upstream/mcp")]
            pages = [await http.get(path) for path in ("/", "/health")]

    assert statuses | {answer.status_code for answer in (*posts, *pages)} == {401}
    assert evil.connections == 0
    assert await status_of(world, world.auth.token()) == 200


async def test_a_token_of_a_megabyte_is_refused(world: World) -> None:
    """S-08: before anything in it is read."""
    request = f"GET /sse HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {'e' * 1_000_000}.e.e\r\n\r\n"

    status, _ = await exchange(world.hub.port, request.encode())

    assert status in (0, 400, 401, 431)  # uvicorn itself closes the connection at 64 KiB, or the hub refuses
    assert await status_of(world, world.auth.token()) == 200


# S-39


@pytest.mark.parametrize("path", ["/mcp", "/upstream/sse", '/"x/mcp', "/%22%0d%0aX-Evil:1/mcp"])
async def test_urls_come_from_the_settings(world: World, path: str) -> None:
    """S-39: whatever Host, path and forwarded headers say."""
    evil = "evil.example.net"
    head = f"Host: localhost\r\nX-Forwarded-Host: {evil}\r\nX-Forwarded-Proto: javascript\r\nForwarded: host={evil}\r\n"

    async with await anyio.connect_tcp("127.0.0.1", world.hub.port) as stream:
        await stream.send(f"GET {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        received = b""
        with anyio.fail_after(10):
            async for data in stream:
                received += data
    hostile, _ = await exchange(
        world.hub.port, f"GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: {evil}\r\n\r\n".encode()
    )

    found = re.search(rb'resource_metadata="([^"]*)"', received)
    assert found is not None
    assert found[1].decode().startswith(f"{world.auth.resource}/.well-known/oauth-protected-resource")
    assert evil.encode() not in received
    assert b"\r\nX-Evil" not in received
    assert hostile == 421


# S-10


@pytest.mark.parametrize("era", ERAS)
async def test_the_token_of_a_caller_stays_in_the_hub(world: World, era: Era) -> None:
    """S-10: what is behind the hub sees the hub's own credentials, and nothing of the caller's."""
    token = world.auth.token(sub=f"canary-{era}")
    world.upstream.received = b""
    async with peer_of(world, era, "", token) as peer:
        assert await call(peer, "upstream_ask") == "200"
        await peer.request("tools/call", {"name": "awx_list_job_templates", "arguments": {}})

    received = world.upstream.received
    assert b"Bearer the-token-of-the-hub" in received
    assert token.encode() not in received
    assert [part for part in token.split(".") if part.encode() in received] == []
    assert token not in world.hub.log.text


# The client of the SDK


class Storage:
    """Where the SDK's client keeps what it gets."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


def logging_in(url: str, storage: Storage) -> OAuthClientProvider:
    """The SDK's way through the code flow, with a browser that says yes."""
    returned: dict[str, str] = {}

    async def browse(url: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            returned.update(httpx.URL((await http.get(url)).headers["location"]).params)

    async def come_back() -> AuthorizationCodeResult:
        return AuthorizationCodeResult(code=returned["code"], state=returned["state"])

    metadata = OAuthClientMetadata(redirect_uris=[AnyUrl("http://127.0.0.1:1/back")], client_name="a test")
    return OAuthClientProvider(url, metadata, storage, browse, come_back)


@pytest.mark.parametrize("path", ["/mcp", "/upstream/mcp", "/sse", "/mine/sse"])
async def test_the_client_of_the_sdk_finds_its_way(world: World, path: str) -> None:
    """It starts with nothing but the URL, and ends with a tool's answer."""
    url, storage = f"{world.hub.url}{path}", Storage()
    login = logging_in(url, storage)
    async with create_mcp_http_client(auth=login) as http:
        transport: AbstractAsyncContextManager[Any] = (
            sse_client(url, auth=login) if path.endswith("/sse") else streamable_http_client(url, http_client=http)
        )
        with anyio.fail_after(PATIENCE):
            async with Client(transport) as client:
                result = await client.call_tool("upstream_ask", {})

    assert not result.is_error
    assert storage.tokens is not None
    assert storage.tokens.access_token
    assert world.auth.registered[-1]["scope"] == "read"


# S-04


async def test_an_issuer_that_is_away_lets_nobody_in_and_keeps_nobody_out(tmp_path: Path) -> None:
    """S-04: away at the start 503; there 200; away again, the keys of before go on counting."""
    auth = AuthServer(free_port(), f"http://127.0.0.1:{free_port()}")
    with recording() as nothing, hub_of(tmp_path, auth, nothing.url) as hub:
        world = World(hub, auth, nothing)
        assert await status_of(world, auth.token()) == 503
        assert await status_of(world, "a.b.c") == 401
        with listening(auth), anyio.fail_after(PATIENCE):
            while await status_of(world, auth.token()) == 503:
                await anyio.sleep(0.2)
            assert await status_of(world, auth.token()) == 200
        assert await status_of(world, auth.token(sub="bob")) == 200
        assert await status_of(world, auth.token(key=rsa_key("attacker"))) == 401

    assert "Traceback" not in hub.log.text
    assert "the keys of the [oauth] issuer could not be fetched" in hub.log.text
