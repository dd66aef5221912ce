"""One exchange of 2026-07-28: a request and its answer over one POST, as the SDK has it, with less around it.

The SDK runs the handler in a task of its own and hands what it says through a stream. Here it runs in the task of the
request, and only what takes longer has a task beside it that sees whether the client leaves. Only calls that are
plainly right come this way; for all others the SDK finds the words. This is the one module that knows the SDK's parts
for it, which are semi-stable.
"""

import json
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Self

import anyio
import anyio.abc
from mcp.server.connection import Connection
from mcp.server.runner import ServerRunner, modern_error_data
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.dispatcher import CallOptions
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    InboundModernRoute,
    classify_inbound_request,
)
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from pegboard.endpoint import Endpoint
from pegboard.serving.body import Body
from pegboard.serving.replies import headers_of

YOUNG = 0.05
"""Seconds until a call that still runs is watched."""

PING_EVERY = 15.0
"""Seconds of silence until a comment is sent, so that no proxy takes the connection for dead; the SDK's own."""

PARAM_HEADERS = b"mcp-param-"
ROUTING = {name: name.encode() for name in ("mcp-protocol-version", "mcp-method", "mcp-name")}
"""The headers that have to say the same as the body."""

EVENTS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
]


class Departures:
    """Notices clients that leave before their answer; `run()` has to be entered around it.

    To watch a call takes a task, which is a fifth of what a short call costs, so only those that are still running
    after a twentieth of a second are watched.
    """

    def __init__(self) -> None:
        self._young: dict[_Answering, None] = {}
        self._some = anyio.Event()

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[Self]:
        """Look after the calls; leaving ends that, and not them."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._look_after, tasks)
            yield self
            tasks.cancel_scope.cancel()

    @contextmanager
    def noticed(self, answering: "_Answering") -> Generator[None]:
        """Cancel what runs in here when the client leaves."""
        self._young[answering] = None
        self._some.set()
        try:
            with answering.call:
                yield
        finally:
            self._young.pop(answering, None)
            answering.is_over.cancel()

    async def _look_after(self, tasks: anyio.abc.TaskGroup) -> None:
        while True:
            await self._some.wait()
            young = list(self._young)
            if not young:
                self._some = anyio.Event()
                continue
            await anyio.sleep(YOUNG)
            for answering in young:
                if answering in self._young:
                    del self._young[answering]
                    tasks.start_soon(answering.watch)


async def exchange(
    endpoint: Endpoint, departures: Departures, body: Body, scope: Scope, receive: Receive, send: Send
) -> bool:
    """Serve a `tools/call`, if it is plainly right; returns whether it was, and nothing was sent if not.

    The answer is one JSON document; from the first notification on, or after 15 s, it is a stream of events that ends
    with the answer. A client that leaves cancels its call.
    """
    route = _route(endpoint, body, scope)
    if route is None:
        return False
    answering = _Answering(Request(scope, receive), body, receive, send)
    connection = Connection.from_envelope(route.protocol_version, route.client_info, route.client_capabilities)
    with departures.noticed(answering):
        try:
            # The SDK's `serve_one` without what it does at the end, which is for connections that last.
            runner = ServerRunner(endpoint.server, connection, {})
            result = await runner.on_request(answering, "tools/call", body.params)
            await answering.answer({"result": result})
        except Exception as error:  # noqa: BLE001 # the SDK's own mapping hides what is not meant for the client
            failure = modern_error_data(error)
            status = ERROR_CODE_HTTP_STATUS.get(failure.code, 200)
            await answering.answer({"error": failure.model_dump(mode="json", by_alias=True, exclude_none=True)}, status)
    return True


def _route(endpoint: Endpoint, body: Body, scope: Scope) -> InboundModernRoute | None:
    if body.method != "tools/call" or body.request_id is None or endpoint.takes_headers(body.params.get("name")):
        return None
    headers = headers_of(scope)
    if len(headers) != len(scope["headers"]) or not _takes_both(headers.get(b"accept", b"")):
        return None  # where a header is repeated, the SDK decides which one counts
    for name in headers:
        if name.startswith(PARAM_HEADERS):
            return None
    routing = {name: headers[key].decode("latin-1") for name, key in ROUTING.items() if key in headers}
    route = classify_inbound_request(body.fields, headers=routing)
    return route if isinstance(route, InboundModernRoute) else None


@lru_cache(64)
def _takes_both(accept: bytes) -> bool:
    """Whether this `Accept` takes one answer as well as a stream, as the SDK reads it."""
    return all(check_accept_headers(Request({"type": "http", "headers": [(b"accept", accept)]})))


@dataclass(eq=False)
class _Answering:
    """The way back to the client; the SDK's `DispatchContext` for this one request."""

    request: Request
    body: Body
    receive: Receive
    send: Send
    call: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    is_over: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    can_send_request: bool = False
    began: bool = False
    ended: bool = False
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self.request_id = self.body.request_id
        self.progress_token = progress_token_from_params(self.body.params)
        self.message_metadata = ServerMessageMetadata(request_context=self.request)
        self.transport = TransportContext(kind="streamable-http", can_send_request=False, headers=self.request.headers)

    async def send_raw_request(
        self,
        method: str,
        params: Mapping[str, Any] | None,  # noqa: ARG002 # the SDK's protocol has it
        opts: CallOptions | None = None,  # noqa: ARG002 # the same
    ) -> dict[str, Any]:
        raise NoBackChannelError(method)

    async def notify(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        opts: CallOptions | None = None,  # noqa: ARG002 # the SDK's protocol has it
    ) -> None:
        message = {"jsonrpc": "2.0", "method": method, **({"params": dict(params)} if params is not None else {})}
        await self._event(encoded(message))

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        if self.progress_token is not None:
            told = {"progressToken": self.progress_token, "progress": progress, "total": total, "message": message}
            await self.notify(
                "notifications/progress", {key: value for key, value in told.items() if value is not None}
            )

    async def watch(self) -> None:
        """Cancel the call when the client leaves; let it know now and then that it is being served."""
        with self.is_over:
            while True:
                with anyio.move_on_after(PING_EVERY):
                    await self.receive()  # behind the body there is only the end
                    self.call.cancel()
                    return
                await self._event(None)

    async def answer(self, outcome: Mapping[str, Any], status: int = 200) -> None:
        """Send the result or the error, and end the response."""
        message = encoded({"jsonrpc": "2.0", "id": self.request_id, **outcome})
        async with self.turn:
            self.ended = True
            if self.began:
                await self.send({"type": "http.response.body", "body": event_of(message)})
                return
            headers = [(b"content-length", str(len(message)).encode()), (b"content-type", b"application/json")]
            await self.send({"type": "http.response.start", "status": status, "headers": headers})
            await self.send({"type": "http.response.body", "body": message})

    async def _event(self, message: bytes | None) -> None:
        async with self.turn:
            if self.ended:
                return
            if not self.began:
                self.began = True
                await self.send({"type": "http.response.start", "status": 200, "headers": EVENTS})
            event = b": ping\r\n\r\n" if message is None else event_of(message)
            await self.send({"type": "http.response.body", "body": event, "more_body": True})


def encoded(message: Mapping[str, Any]) -> bytes:
    """A message as JSON."""
    # In ASCII: some clients take U+2028 in an event for the end of a line.
    return json.dumps(message, separators=(",", ":")).encode()


def event_of(message: bytes) -> bytes:
    """A message as an event of a stream."""
    return b"event: message\r\ndata: %b\r\n\r\n" % message
