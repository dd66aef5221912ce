"""A hub's application without a port: requests an HTTP client would not send, and streams one can leave."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import anyio
from starlette.types import ASGIApp, Message
from tests.system.wire import ACCEPT, Json, envelope, hello, rpc

from pegboard.hub import Hub
from pegboard.serving.app import HubApp

Headers = Sequence[tuple[str, str]] | Mapping[str, str]
Body = bytes | Json | None

HOST = "localhost:8000"
ASCII = "".join(map(chr, range(33, 127)))


@dataclass
class Answer:
    """What came back; of a stream that has no end, its beginning."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")

    @property
    def all(self) -> str:
        """Everything, to be searched."""
        return "\n".join([f"{name!r}: {value!r}" for name, value in self.headers] + [self.text])

    def header(self, name: str) -> str | None:
        found = [value.decode("latin-1") for key, value in self.headers if key.decode("latin-1").lower() == name]
        return found[0] if found else None


class Site:
    """A hub's application, and a client of it that has no manners."""

    def __init__(self, hub: Hub, asgi: ASGIApp) -> None:
        self.hub = hub
        self._asgi = asgi

    async def ask(
        self, method: str, target: str, headers: Headers = (), body: Body = None, *, patience: float = 5
    ) -> Answer:
        """One request; a stream is left as soon as its first bytes are there, or they do not come for a while."""
        answer, sent = Answer(), anyio.Event()
        content = json.dumps(body).encode() if isinstance(body, dict) else body or b""
        given = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Message:
            if given:
                return given.pop()
            with anyio.move_on_after(patience):
                await sent.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status, answer.headers = message["status"], list(message["headers"])
                return
            answer.body += message.get("body", b"")
            if answer.body and (answer.header("content-type") or "").startswith("text/event-stream"):
                sent.set()

        with anyio.fail_after(10):
            await self._asgi(scope_of(method, target, headers), receive, send)
        return answer

    async def whole(self, method: str, target: str, headers: Headers, body: Body) -> Json:
        """The one JSON-RPC answer to a request, be it JSON or the last event of a stream."""
        answer = await self.ask(method, target, headers, body)
        return json.loads(answer.text.rpartition("data: ")[2] if "data: " in answer.text else answer.text)

    async def modern(self, path: str, method: str, params: Json | None = None, headers: Headers = ()) -> Answer:
        """One request of 2026-07-28 at an endpoint."""
        params, own = envelope(method, params)
        return await self.ask("POST", f"{path}/mcp", [*own.items(), *pairs(headers)], rpc(method, params, 1))

    async def initialize(self, path: str, headers: Headers = ()) -> str:
        """Open a session of `/mcp`; returns its id."""
        answer = await self.ask(
            "POST", f"{path}/mcp", [*ACCEPT.items(), *pairs(headers)], rpc("initialize", hello(), 1)
        )
        session = answer.header("mcp-session-id")
        assert session is not None, answer
        return session

    @asynccontextmanager
    async def stream(self, path: str, headers: Headers = ()) -> AsyncGenerator["Stream"]:
        """An open SSE session; leaving closes it."""
        stream = Stream()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream.run, self._asgi, scope_of("GET", f"{path}/sse", headers))
            with anyio.fail_after(5):
                await stream.opened.wait()
            yield stream
            stream.left.set()


class Stream:
    """An SSE session: where to post, and the messages that came."""

    def __init__(self) -> None:
        self.url = ""
        self.opened = anyio.Event()
        self.left = anyio.Event()
        self.messages: dict[Any, list[Json]] = {}
        self._changed = anyio.Event()

    async def run(self, asgi: ASGIApp, scope: dict[str, Any]) -> None:
        await asgi(scope, self.receive, self.send)

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        event, _, data = message.get("body", b"").decode().partition("data: ")
        if event.startswith("event: endpoint"):
            self.url = data.strip()
            self.opened.set()
        elif event.startswith("event: message"):
            found = json.loads(data)
            self.messages.setdefault(found.get("id"), []).append(found)
            self._changed.set()
            self._changed = anyio.Event()

    async def answer(self, request_id: Any) -> Json:
        """The next answer with this id."""
        with anyio.fail_after(10):
            while not self.messages.get(request_id):
                await self._changed.wait()
        return self.messages[request_id].pop(0)


@asynccontextmanager
async def site(hub: Hub) -> AsyncGenerator[Site]:
    """Serve a hub that is not open yet."""
    async with hub:
        app = HubApp(hub)
        async with app.run():
            yield Site(hub, app.asgi)


def pairs(headers: Headers) -> list[tuple[str, str]]:
    return list(headers.items()) if isinstance(headers, Mapping) else list(headers)


def scope_of(method: str, target: str, headers: Headers) -> dict[str, Any]:
    """What a server would make of a request; `Host` is ours unless one is given.

    The target is in ASCII: uvicorn answers 400 to any other byte.
    """
    path, _, query = quote(target, safe=ASCII).partition("?")
    given = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs(headers)]
    if not any(name == b"host" for name, _ in given):
        given.insert(0, (b"host", HOST.encode()))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": given,
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
