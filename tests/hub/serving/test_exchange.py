"""Calls of 2026-07-28: answered as the SDK answers them, and left to it where they are not plainly right."""

import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import NoBackChannelError
from starlette.requests import Request
from starlette.types import Message, Scope

from pegboard import Call, Plugin, ToolError, tool
from pegboard.endpoint import Endpoint
from pegboard.serving import exchange as module
from pegboard.serving.body import Body
from pegboard.serving.exchange import Departures, exchange
from pegboard.testing import hub_of

MODERN = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
Json = dict[str, Any]


@tool(read_only=True)
async def say(text: str = "é\u2028") -> str:
    """Say it back."""
    return text


@tool(read_only=True)
async def fail() -> str:
    """Fail."""
    raise ToolError("no such thing")


@tool(read_only=True)
async def count(call: Call[Any]) -> list[int | None]:
    """Report progress."""
    await call.progress(1, 2, "half")
    await call.progress(2)
    return [1, None]


class Client:
    """The other end of one request: gives the body, leaves when it is told to, remembers what it got."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.leaves = anyio.Event()
        self.got = anyio.Event()

    async def receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.got.set()

    @property
    def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        start, *rest = self.sent
        return start["status"], dict(start["headers"]), b"".join(message.get("body", b"") for message in rest)


def request(name: Any = "test_say", headers: Json | None = None, **more: Any) -> tuple[Body, Scope]:
    """A call, right unless `more` (members of the message) or `headers` make it wrong; `None` leaves a header out."""
    params = {"name": name, "arguments": {}, "_meta": META}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params, **more}
    given = {"accept": "application/json, text/event-stream", "mcp-protocol-version": MODERN} | {
        "mcp-method": "tools/call", "mcp-name": str(name), "content-type": "application/json", **(headers or {})
    }  # fmt: skip
    lines = [(key.encode(), value.encode()) for key, value in given.items() if value is not None]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "query_string": b"", "headers": lines}
    return Body(json.dumps(message).encode(), message), scope


@asynccontextmanager
async def endpoint() -> AsyncGenerator[Endpoint]:
    with anyio.fail_after(5):
        async with hub_of(Plugin(name="test", tools=[say, fail, count])) as hub:
            yield hub.endpoints[""]


async def by_the_sdk(at: Endpoint, body: Body, scope: Scope, client: Client) -> None:
    manager = StreamableHTTPSessionManager(at.server)
    async with manager.run():
        await manager.handle_request(scope, body.replay(client.receive), client.send)


async def by_us(at: Endpoint, body: Body, scope: Scope, client: Client) -> None:
    async with Departures().run() as departures:
        assert await exchange(at, departures, body, scope, client.receive, client.send)


Way = Callable[[Endpoint, Body, Scope, Client], Coroutine[Any, Any, None]]

PROGRESS = {"name": "test_count", "arguments": {}, "_meta": {**META, "progressToken": "mine"}}


@pytest.mark.parametrize(
    "given",
    [
        request(),
        request(id="text"),
        request("test_fail"),
        request("test_count"),
        request("test_count", params=PROGRESS),
        request("nobody_has"),
        request(None, headers={"mcp-name": None}),
        request(params={"name": "test_say", "arguments": [1], "_meta": META}),
        request(params={"name": "test_say", "arguments": {"text": 5, "else": 1}, "_meta": META}),
        request(headers={"accept": "*/*"}),
        request(
            params={
                "name": "test_say",
                "_meta": {**META, "io.modelcontextprotocol/clientCapabilities": {"elicitation": 5}},
            }
        ),
    ],
)
async def test_the_answer_is_the_sdks(given: tuple[Body, Scope]) -> None:
    async with endpoint() as at:
        ours, theirs = Client(), Client()
        body, scope = given
        await by_us(at, body, dict(scope), ours)
        await by_the_sdk(at, body, dict(scope), theirs)

    assert ours.answer == theirs.answer


@pytest.mark.parametrize(
    "given",
    [
        request(method="tools/list"),
        request(params={"name": "test_say"}),
        request(headers={"accept": "application/json"}),
        request(headers={"mcp-name": "test_fail"}),
        request(headers={"mcp-protocol-version": "2199-01-01"}),
        request(headers={"mcp-param-text": "x"}),
        (request()[0], {**request()[1], "headers": [*request()[1]["headers"], (b"mcp-name", b"test_say")]}),
    ],
)
async def test_what_is_not_plainly_right_is_left_to_the_sdk(given: tuple[Body, Scope]) -> None:
    async with endpoint() as at:
        client = Client()
        assert not await exchange(at, Departures(), *given, client.receive, client.send)
    assert client.sent == []


async def test_a_tool_that_wants_headers_is_left_to_the_sdk() -> None:
    async with endpoint() as at:
        at.view.tools["test_say"].takes_headers = True
        client = Client()
        assert not await exchange(at, Departures(), *request(), client.receive, client.send)


@pytest.mark.parametrize("serve", [by_us, by_the_sdk])
async def test_a_client_that_leaves_cancels_its_call(serve: Way) -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def wait() -> None:
        """Wait for ever."""
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    client = Client()
    async with hub_of(Plugin(name="test", tools=[wait])) as hub, anyio.create_task_group() as tasks:
        with anyio.fail_after(5):
            tasks.start_soon(serve, hub.endpoints[""], *request("test_wait"), client)
            await began.wait()
            client.leaves.set()
            await ended.wait()
    assert client.sent == []


async def test_a_long_call_shows_that_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PING_EVERY", 0.01)
    client = Client()

    async def wait() -> str:
        """Wait for the first sign of life."""
        await client.got.wait()
        return "done"

    with anyio.fail_after(5):
        async with hub_of(Plugin(name="test", tools=[wait])) as hub:
            await by_us(hub.endpoints[""], *request("test_wait"), client)

    status, headers, body = client.answer
    assert (status, headers[b"content-type"]) == (200, b"text/event-stream")
    assert body.startswith(b": ping\r\n\r\n")
    assert b'"text":"done"' in body.split(b"event: message\r\ndata: ")[-1]
    assert not client.sent[-1].get("more_body")


async def test_what_is_said_after_the_answer_is_dropped() -> None:
    kept: list[Call[Any]] = []

    async def keep(call: Call[Any]) -> str:
        """Keep the call."""
        kept.append(call)
        return "done"

    client = Client()
    params = {"name": "test_keep", "arguments": {}, "_meta": {**META, "progressToken": 7}}
    with anyio.fail_after(5):
        async with hub_of(Plugin(name="test", tools=[keep])) as hub:
            await by_us(hub.endpoints[""], *request("test_keep", params=params), client)
            before = list(client.sent)
            await kept[0].progress(1)

    assert client.sent == before


async def test_there_is_no_way_to_ask_the_client() -> None:
    body, scope = request()
    client = Client()
    answering = module._Answering(Request(scope, client.receive), body, client.receive, client.send)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(NoBackChannelError):
        await answering.send_raw_request("sampling/createMessage", {})
