"""Streamable HTTP at `<path>/mcp`: sessions for the handshake revisions, single exchanges for 2026-07-28."""

import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
import anyio.abc
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import HEADER_MISMATCH
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import Message, Receive, Scope, Send

from pegboard.endpoint import PRINCIPAL, SERVER_BUSY, Endpoint
from pegboard.security.limits import TooMuch
from pegboard.security.principal import Principal, id_of
from pegboard.serving.answered import Answered
from pegboard.serving.auth import Authentication, Denied
from pegboard.serving.body import Body, Refusal, read_body
from pegboard.serving.denials import Denials
from pegboard.serving.exchange import Departures, encoded, event_of, exchange
from pegboard.serving.replies import HEADERS_KEY, INVALID_REQUEST, headers_of, refuse_rpc
from pegboard.serving.seats import Seat, Seats
from pegboard.serving.traffic import Traffic
from pegboard.settings import ServerSettings

log = logging.getLogger(__name__)

VERSION_HEADER = b"mcp-protocol-version"
SESSION_HEADER = b"mcp-session-id"
DECIDING = (VERSION_HEADER, SESSION_HEADER)
"""Headers that decide who serves a request; the SDK goes by the first of several, and others by the last."""
MODERN = frozenset(version.encode() for version in MODERN_PROTOCOL_VERSIONS)

FIXED = frozenset(("prompts/list", "resources/list", "resources/templates/list", "server/discover", "tools/list"))
"""Methods whose answer depends on nothing but the request, for as long as the endpoint's view stays."""

MAX_KEPT = 64
MAX_KEY = 4096

PER_REQUEST = frozenset(("baggage", "progressToken", "traceparent", "tracestate"))
"""Members of `_meta` that no list depends on."""


TIDYING = 0.25
"""Seconds a request waits for the one before with its id: clients read an answer sooner than the SDK has let go of it,
and some give every request the same id."""

TAKEN_BACK = "this key or token was taken back, and the call was cancelled; ask for a new one"


class StreamableEndpoint:
    """Serves `<path>/mcp` of one endpoint; `run()` has to be entered around it.

    Always in SSE response mode, in which a client that leaves cancels its call; the JSON mode never does.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ServerSettings,
        traffic: Traffic,
        auth: Authentication,
        denials: Denials,
        seats: Seats,
        *,
        keep_lists: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._traffic = traffic
        self._auth = auth
        self._denials = denials
        self._seats = seats
        self._in_flight: dict[tuple[object, bytes, str], anyio.Event] = {}
        self._lists = KeptAnswers() if keep_lists else None
        self._departures = Departures()
        self._view = endpoint.view
        self._known: dict[str, Callable[[], object]] = {}
        self._ends: anyio.abc.TaskGroup
        self._manager = StreamableHTTPSessionManager(
            endpoint.server,
            stateless=settings.stateless,
            session_idle_timeout=settings.session_idle_timeout,
            max_request_body_size=settings.max_body_bytes,
            max_sessions=settings.max_sessions,
        )

    @asynccontextmanager
    async def run(self) -> AsyncGenerator[None]:
        """Own the sessions; leaving ends them."""
        async with self._manager.run(), self._departures.run(), anyio.create_task_group() as self._ends:
            try:
                yield
            finally:
                self._ends.cancel_scope.cancel()
                for end in self._known.values():
                    self._auth.ended(end)

    @property
    def sessions(self) -> int:
        """How many are open."""
        return len(self._sessions)

    @property
    def _sessions(self) -> Mapping[str, object]:
        return self._manager._server_instances  # pyright: ignore[reportPrivateUsage] # no public way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        repeated = _repeated(scope)
        if repeated is not None:
            await refuse_rpc(scope, receive, send, 400, HEADER_MISMATCH, f"{repeated} header appears more than once")
            return
        if self._settings.stateless:
            scope = _without_session(scope)
        if scope["method"] == "POST":
            await self._post(scope, receive, send)
        elif scope["method"] == "GET":
            await self._stream(scope, receive, send)
        else:
            session, ended = headers_of(scope).get(SESSION_HEADER, b"").decode("latin-1"), _Ended(send)
            await self._manager.handle_request(scope, receive, ended.send)
            if ended.well:  # and not, say, because it is somebody else's session
                await self._forget(session)

    async def _stream(
        self, scope: Scope, receive: Receive, send: Send, replay: Callable[[Receive], Receive] = lambda receive: receive
    ) -> None:
        """Serve a stream until somebody ends it. When its key counts no more it is completed, not cut off."""
        response = _Open(send)
        with self._traffic.streams, self._auth.watching(scope.get(PRINCIPAL)) as over:
            closing = self._traffic.until_closing(receive, over)
            await self._manager.handle_request(scope, replay(closing), response.send)
            if over.is_set():
                with anyio.move_on_after(self._settings.stalled_timeout):
                    await response.complete()

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, self._settings)
        except Refusal as refusal:
            await refuse_rpc(scope, receive, send, refusal.status, refusal.code, refusal.message)
            return
        if body.request_id is None or body.method is None:
            await self._answer(body, scope, receive, send)
            return
        with Answered(send, self._traffic.metrics, body.method) as answered:
            await self._for_its_key(body, scope, receive, answered)

    async def _for_its_key(self, body: Body, scope: Scope, receive: Receive, answered: Answered) -> None:
        """Answer for as long as the key counts that a request came with. Streams see to that themselves."""
        principal: Principal | None = scope.get(PRINCIPAL)
        if principal is None or body.method == "subscriptions/listen":
            await self._answer(body, scope, receive, answered.send)
            return
        call = anyio.CancelScope()
        self._auth.began(principal, call.cancel)
        try:
            with call:
                await self._answer(body, scope, receive, answered.send)
        finally:
            self._auth.ended(call.cancel)
        if call.cancel_called:
            self._denials.revoked(scope)
            with anyio.move_on_after(self._settings.stalled_timeout):
                await self._cut_off(body, scope, receive, answered)

    async def _cut_off(self, body: Body, scope: Scope, receive: Receive, answered: Answered) -> None:
        """Say why there will be no answer, in whatever of it has begun."""
        if not answered.has_begun:
            await self._auth.refuse(Denied(401, "credential", TAKEN_BACK), scope, receive, answered.send)
        elif answered.takes_events:
            error = {"code": INVALID_REQUEST, "message": TAKEN_BACK}
            message = encoded({"jsonrpc": "2.0", "id": body.request_id, "error": error})
            await answered.send({"type": "http.response.body", "body": event_of(message)})

    async def _answer(self, body: Body, scope: Scope, receive: Receive, send: Send) -> None:
        limit = await self._denials.admit(scope) if body.request_id is not None else None
        if limit is not None:
            told = (429, SERVER_BUSY, limit.message, body.request_id)
            await refuse_rpc(scope, receive, send, *told, retry_after=limit.retry_after)
        elif self._traffic.draining and body.request_id is not None:
            reason = "the hub is shutting down; send the request again"
            await refuse_rpc(scope, receive, send, 503, SERVER_BUSY, reason, body.request_id)
        elif headers_of(scope).get(VERSION_HEADER) in MODERN:
            await self._single(body, scope, receive, send)
        else:
            await self._in_session(body, scope, receive, send)

    async def _single(self, body: Body, scope: Scope, receive: Receive, send: Send) -> None:
        if body.method == "subscriptions/listen":
            with self._traffic.subscriptions:
                await self._stream(scope, receive, send, body.replay)
            return
        with self._traffic.exchanges:
            if self._lists is not None and body.method in FIXED:
                if self._view is not self._endpoint.view:
                    self._view, self._lists = self._endpoint.view, KeptAnswers()
                await self._lists.serve(self._manager, body, scope, receive, send)
            elif not await exchange(self._endpoint, self._departures, body, scope, receive, send):
                await self._manager.handle_request(scope, body.replay(receive), send)

    async def _in_session(self, body: Body, scope: Scope, receive: Receive, send: Send) -> None:
        session = headers_of(scope).get(SESSION_HEADER)
        if session is None and not self._settings.stateless:
            await self._opening(body, scope, receive, send)
            return
        if session is None or body.request_id is None:
            await self._greeted(body, scope, receive, send)
            return
        # The SDK keeps the streams of a session by `str(id)`: `"7"` would take away the answer of `7`.
        key = (id_of(scope.get(PRINCIPAL)), session, str(body.request_id))
        if key in self._in_flight:
            with anyio.move_on_after(TIDYING):
                await self._in_flight[key].wait()
        if key in self._in_flight:
            problem = f"a request with the id {body.request_id!r} is still in flight"
            await refuse_rpc(scope, receive, send, 400, INVALID_REQUEST, problem, body.request_id)
            return
        self._in_flight[key] = anyio.Event()
        try:
            with self._traffic.exchanges:
                await self._manager.handle_request(scope, body.replay(receive), send)
        finally:
            self._in_flight.pop(key).set()

    async def _opening(self, body: Body, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that opens a session, if its key has not opened its share."""
        try:
            await self._forget_abandoned()
            with self._seats.one(scope) as seat:
                await self._greeted(body, scope, receive, self._saying_when(self._keeping(seat, scope, send)))
        except TooMuch as limit:
            told = (429, SERVER_BUSY, limit.message, body.request_id)
            await refuse_rpc(scope, receive, send, *told, retry_after=limit.retry_after)

    async def _greeted(self, body: Body, scope: Scope, receive: Receive, send: Send) -> None:
        with self._traffic.exchanges:
            async with self._endpoint.greeting(scope.get(PRINCIPAL)):
                await self._manager.handle_request(scope, body.replay(receive), send)

    def _keeping(self, seat: Seat, scope: Scope, send: Send) -> Send:
        """A `send` that keeps the seat for as long as the session is open that the answer names, and that session for
        as long as its key counts."""

        async def sending(message: Message) -> None:
            header = dict(message.get("headers", ())).get(SESSION_HEADER)
            if header is not None:
                session = header.decode()
                seat.kept = lambda: session in self._sessions
                self._known[session] = lambda: self._ends.start_soon(self._end, session, scope)
                if scope.get(PRINCIPAL) is not None:
                    self._auth.began(scope[PRINCIPAL], self._known[session])
            await send(message)

        return sending

    async def _forget_abandoned(self) -> None:
        """Forget those that were not used for too long: the SDK closes them and tells nobody."""
        for session in self._known - self._sessions.keys():
            await self._forget(session)

    async def _forget(self, session: str) -> None:
        if session in self._known:
            self._auth.ended(self._known.pop(session))
        await self._endpoint.forget(session)

    async def _end(self, session: str, opening: Scope) -> None:
        """End a session as the client would that has opened it: calls go on in there that nobody waits for."""
        headers = [header for header in opening["headers"] if header[0] == b"host"]
        headers.append((SESSION_HEADER, session.encode()))
        scope = {**opening, "method": "DELETE", "headers": headers, HEADERS_KEY: None}
        try:
            await self._manager.handle_request(scope, _nothing, _nowhere)
            await self._forget(session)
        except Exception:  # one session must not end all others of its endpoint
            log.exception("a session could not be ended")

    def _saying_when(self, send: Send) -> Send:
        """A `send` that adds to the SDK's 503, for one session too many, when to try again."""

        async def sending(message: Message) -> None:
            if message.get("status") == 503:
                self._denials.met("sessions")
                message = {**message, "headers": [*message["headers"], (b"retry-after", b"5")]}
            await send(message)

        return sending


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _nowhere(message: Message) -> None:
    """Where an answer goes that nobody has asked for."""


def _repeated(scope: Scope) -> str | None:
    """The deciding header that a request has more than once, if there is one."""
    if len(headers_of(scope)) == len(scope["headers"]):
        return None
    names = [name for name, _ in scope["headers"]]
    return next((name.decode() for name in DECIDING if names.count(name) > 1), None)


def _without_session(scope: Scope) -> Scope:
    """The request without the name of a session: where none are kept, nobody has looked whose it is."""
    headers = [header for header in scope["headers"] if header[0] != SESSION_HEADER]
    return {**scope, "headers": headers, HEADERS_KEY: None}  # looked up anew


class _Open:
    """Passes a response on, and can complete it where whoever sends it believes that the client is gone."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_open = False

    async def send(self, message: Message) -> None:
        self._is_open = message["type"] == "http.response.start" or bool(message.get("more_body"))
        await self._send(message)

    async def complete(self) -> None:
        if self._is_open:
            await self.send({"type": "http.response.body", "body": b""})


class _Ended:
    """Passes a response on and knows whether it was a good one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.well = False

    async def send(self, message: Message) -> None:
        self.well = self.well or 200 <= message.get("status", 0) < 300
        await self._send(message)


class KeptAnswers:
    """Answers of the SDK that cannot change, kept as bytes: a list of tools need not be built for each client.

    What is kept is the SDK's own answer to an equal request, so that it is right by construction; only the id is
    put in anew. The SDK builds and validates a list again for every request, 2 ms for 58 tools.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[Message, bytes]] = {}

    async def serve(
        self, manager: StreamableHTTPSessionManager, body: Body, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer from what is kept, else by the SDK, and keep that."""
        key = _key_of(body, scope)
        kept = self._kept.get(key)
        if kept is None or body.request_id is None:
            answer = _Recorded(send)
            await manager.handle_request(scope, body.replay(receive), answer.send)
            if body.request_id is not None and len(key) <= MAX_KEY:
                self._keep(key, body.request_id, answer)
            return
        start, rest = kept
        payload = _prefix(body.request_id) + rest
        length = (b"content-length", str(len(payload)).encode())
        await send({**start, "headers": [*start["headers"], length]})
        await send({"type": "http.response.body", "body": payload})

    def _keep(self, key: bytes, request_id: str | int, answer: "_Recorded") -> None:
        prefix = _prefix(request_id)
        start = answer.start
        if start is None or start["status"] != 200 or not answer.body.startswith(prefix):
            return
        headers = [header for header in start["headers"] if header[0] != b"content-length"]
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = ({**start, "headers": headers}, answer.body.removeprefix(prefix))


class _Recorded:
    """Passes a response on and remembers it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.start: Message | None = None
        self.body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = dict(message)
        else:
            self.body += message.get("body", b"")
        await self._send(message)


def _key_of(body: Body, scope: Scope) -> bytes:
    """Everything an answer may depend on: the request without its id, and the headers the SDK reads."""
    params = dict(body.params)
    if isinstance(params.get("_meta"), dict):
        params["_meta"] = {key: value for key, value in params["_meta"].items() if key not in PER_REQUEST}
    rest = {key: value for key, value in body.fields.items() if key not in ("id", "params")}
    headers = sorted(h for h in scope["headers"] if h[0] in (b"accept", b"content-type") or h[0].startswith(b"mcp-"))
    principal: Principal | None = scope.get(PRINCIPAL)
    sight = () if principal is None else (str(principal.scopes), principal.tenant)
    return repr((rest, params, headers, sight)).encode()


def _prefix(request_id: str | int) -> bytes:
    return f'{{"jsonrpc":"2.0","id":{json.dumps(request_id)},"result":'.encode()
