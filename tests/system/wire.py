"""MCP as it goes over HTTP: raw clients of the three transports, so that a test can send what no SDK would."""

import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, Protocol

import anyio
import httpx

Json = dict[str, Any]
Era = Literal["sse", "legacy", "modern"]

LEGACY = "2025-11-25"
MODERN = "2026-07-28"
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
PATIENCE = 15.0


class Peer(Protocol):
    """One client on one transport."""

    notes: list[Json]
    """Notifications that came with answers."""

    async def request(self, method: str, params: Json | None = None, *, request_id: int | str | None = None) -> Json:
        """The answer to a request: the whole JSON-RPC message."""
        ...

    async def notify(self, method: str, params: Json) -> None:
        """Send a notification."""
        ...


async def call(peer: Peer, tool: str, arguments: Json | None = None, **options: Any) -> str:
    """The text a tool answered; fails on any error."""
    answer = await peer.request("tools/call", {"name": tool, "arguments": arguments or {}}, **options)
    assert "result" in answer, answer
    assert not answer["result"].get("isError"), answer
    return answer["result"]["content"][0]["text"]


async def inside(peer: Peer) -> Json:
    """What the probe sees inside the hub's process."""
    return json.loads(await call(peer, "probe_inside"))


def rpc(method: str, params: Json | None = None, request_id: int | str | None = None) -> Json:
    """A request, or a notification when it has no id."""
    given = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return {key: value for key, value in given.items() if value is not None}


def hello(version: str = LEGACY) -> Json:
    """The parameters of `initialize`."""
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "wire", "version": "1"}}


def envelope(method: str, params: Json | None = None) -> tuple[Json, dict[str, str]]:
    """The parameters and headers of a 2026-07-28 request."""
    params = dict(params or {})
    params["_meta"] = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
        **params.get("_meta", {}),
    }
    headers = {**ACCEPT, "MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    name = params.get("name") or params.get("uri")
    return params, headers | ({"Mcp-Name": name} if name else {})


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """The events of a stream: name and data."""
    name, data = "message", ""
    async for line in response.aiter_lines():
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data += value
        elif not line and data:
            yield name, data
            name, data = "message", ""


async def answer_of(response: httpx.Response, notes: list[Json]) -> Json:
    """The answer in a response, be it JSON or a stream; notifications before it go to `notes`."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        return json.loads(await response.aread())
    answers: list[Json] = []
    async for _, data in events(response):
        message = json.loads(data)
        (notes if "method" in message else answers).append(message)
    assert len(answers) == 1, f"the stream ended with {len(answers)} answers"
    return answers[0]


class SseSession:
    """A session over HTTP+SSE."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.notes: list[Json] = []
        self.url = ""
        self.closed = anyio.Event()
        self._http = http
        self._ids = itertools.count(1)
        self._answers: dict[Any, list[Json]] = {}
        self._arrived = anyio.Event()

    async def post(self, message: Json | bytes) -> httpx.Response:
        """Post one message as it is."""
        content = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self._http.post(self.url, content=content, headers=ACCEPT)

    async def request(self, method: str, params: Json | None = None, *, request_id: int | str | None = None) -> Json:
        request_id = next(self._ids) if request_id is None else request_id
        response = await self.post(rpc(method, params, request_id))
        assert response.status_code == 202, response.text
        return await self.answer(request_id)

    async def notify(self, method: str, params: Json) -> None:
        await self.post(rpc(method, params))

    async def answer(self, request_id: int | str) -> Json:
        """The next answer with this id."""
        with anyio.fail_after(PATIENCE):
            while not self._answers.get(request_id):
                assert not self.closed.is_set(), f"the stream ended without an answer to {request_id!r}"
                await self._arrived.wait()
        return self._answers[request_id].pop(0)

    def unclaimed(self) -> list[Json]:
        """Answers nobody has asked for yet."""
        return [answer for answers in self._answers.values() for answer in answers]

    async def read(self, response: httpx.Response, opened: Callable[[], None]) -> None:
        """Take in the stream until it ends."""
        try:
            async for name, data in events(response):
                if name == "endpoint":
                    self.url = data
                    opened()
                else:
                    self._take(json.loads(data))
        except httpx.TransportError:
            pass
        self.closed.set()
        self._wake()

    def _take(self, message: Json) -> None:
        if "method" in message:
            self.notes.append(message)
        else:
            self._answers.setdefault(message["id"], []).append(message)
        self._wake()

    def _wake(self) -> None:
        self._arrived.set()
        self._arrived = anyio.Event()


@asynccontextmanager
async def sse(http: httpx.AsyncClient, path: str = "", *, handshake: bool = True) -> AsyncGenerator[SseSession]:
    """An SSE session; leaving closes its stream."""
    session, opened = SseSession(http), anyio.Event()
    async with http.stream("GET", f"{path}/sse") as response, anyio.create_task_group() as tasks:
        assert response.status_code == 200, await response.aread()
        tasks.start_soon(session.read, response, opened.set)
        with anyio.fail_after(PATIENCE):
            await opened.wait()
        if handshake:
            answer = await session.request("initialize", hello("2024-11-05"))
            assert answer["result"]["serverInfo"]["name"].startswith("pegboard"), answer
            await session.notify("notifications/initialized", {})
        yield session
        tasks.cancel_scope.cancel()


class Streamable:
    """A client of `/mcp`: with a session, or, when `headers` is empty, of 2026-07-28."""

    def __init__(self, http: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> None:
        self.notes: list[Json] = []
        self.headers = dict(headers)
        self.url = url
        self._http = http
        self._ids = itertools.count(100)

    async def request(self, method: str, params: Json | None = None, *, request_id: int | str | None = None) -> Json:
        request_id = next(self._ids) if request_id is None else request_id
        async with self.open(method, params, request_id) as response:
            return await answer_of(response, self.notes)

    async def notify(self, method: str, params: Json) -> None:
        response = await self._http.post(self.url, json=rpc(method, params), headers=self.headers)
        assert response.status_code == 202, response.text

    def open(
        self, method: str, params: Json | None, request_id: int | str
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """The response of a request, unread; leaving closes it."""
        headers = self.headers
        if not headers:
            params, headers = envelope(method, params)
        return self._http.stream("POST", self.url, json=rpc(method, params, request_id), headers=headers)


@asynccontextmanager
async def legacy(http: httpx.AsyncClient, path: str = "") -> AsyncGenerator[Streamable]:
    """A session of 2025-11-25 on `/mcp`; leaving ends it."""
    peer = Streamable(http, f"{path}/mcp", ACCEPT)
    async with peer.open("initialize", hello(), 0) as response:
        assert response.status_code == 200, await response.aread()
        await answer_of(response, peer.notes)
        session = response.headers["mcp-session-id"]
    peer.headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": LEGACY}
    await peer.notify("notifications/initialized", {})
    try:
        yield peer
    finally:
        with anyio.CancelScope(shield=True), anyio.move_on_after(2):
            try:
                await http.delete(peer.url, headers=peer.headers)
            except httpx.TransportError:  # the hub was stopped by the test
                pass


@asynccontextmanager
async def modern(http: httpx.AsyncClient, path: str = "") -> AsyncGenerator[Streamable]:
    """A client of 2026-07-28 on `/mcp`."""
    yield Streamable(http, f"{path}/mcp", {})


OPENERS: Mapping[Era, Callable[..., AbstractAsyncContextManager[Peer]]] = {
    "sse": sse,
    "legacy": legacy,
    "modern": modern,
}


@asynccontextmanager
async def client(url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """An HTTP client that waits long enough, opens as many connections as it is asked for, and uses no proxy."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
    # Nothing here speaks TLS, and reading the machine's certificates takes longer than many a test.
    plain = httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits, verify=False, trust_env=False)
    async with plain as http:
        yield http


@asynccontextmanager
async def restless(url: str) -> AsyncGenerator[httpx.AsyncClient]:
    """A client with a new connection for each request, so that each may land at any worker."""
    limits = httpx.Limits(max_keepalive_connections=0)
    plain = httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits, verify=False, trust_env=False)
    async with plain as http:
        yield http


@asynccontextmanager
async def connected(era: Era, url: str, path: str = "") -> AsyncGenerator[Peer]:
    """A client of one era, on a connection of its own."""
    async with client(url) as http, OPENERS[era](http, path) as peer:
        yield peer
