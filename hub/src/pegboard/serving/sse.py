"""HTTP+SSE (2024-11-05): one long stream to the client, and a path it posts its messages to."""

import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

import anyio
from mcp.server.sse import SseServerTransport
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from starlette.types import Message, Receive, Scope, Send

from pegboard.endpoint import PRINCIPAL, Endpoint
from pegboard.security.limits import TooMuch
from pegboard.security.principal import id_of
from pegboard.serving.auth import Authentication
from pegboard.serving.body import Refusal, read_body
from pegboard.serving.closing import Closing
from pegboard.serving.denials import Denials
from pegboard.serving.replies import refuse
from pegboard.serving.seats import Seats
from pegboard.serving.session import Incoming, Session
from pegboard.serving.traffic import Gauge, Traffic
from pegboard.settings import ServerSettings

log = logging.getLogger(__name__)

SESSION_ID = re.compile(rb"session_id=([0-9a-fA-F]{32})")


class SseEndpoint:
    """Serves `<path>/sse` and `<path>/messages/` of one endpoint; where the hub has a name among replicas, it stands
    behind the latter. ASGI apps both, since neither has a response to return: what is returned after a stream has
    ended raises in Starlette."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ServerSettings,
        traffic: Traffic,
        sessions: Gauge,
        auth: Authentication,
        denials: Denials,
        seats: Seats,
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._traffic = traffic
        self._sessions = sessions
        self._auth = auth
        self._denials = denials
        self._seats = seats
        self._transport = SseServerTransport(f"{endpoint.offer.path}/{settings.messages}")
        self._removed = Closing()
        self._open: dict[str, Session] = {}

    def close(self) -> None:
        """End every session: the endpoint is not served any more."""
        self._removed.set()

    async def connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one session for as long as its stream is open. 405 for a POST is how clients learn to use SSE."""
        if scope["method"] != "GET":
            await refuse(scope, receive, send, 405, "open this URL with GET; it is an SSE stream", {"Allow": "GET"})
        elif self._traffic.draining or self._sessions.value >= self._settings.max_sessions:
            limit = self._settings.max_sessions
            self._denials.met("sessions")
            reason = "shutting down" if self._traffic.draining else f"at its limit of {limit} sessions"
            await refuse(scope, receive, send, 503, f"the hub is {reason}; try again later", {"Retry-After": "5"})
        else:
            await self._seated(scope, receive, send)

    async def _seated(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._seats.one(scope), self._traffic.streams, self._sessions:
                with self._auth.watching(scope.get(PRINCIPAL)) as over:
                    await self._serve(scope, self._traffic.until_closing(receive, self._removed, over), send, over)
        except TooMuch as limit:
            await refuse(scope, receive, send, 429, limit.message, {"Retry-After": str(limit.retry_after)})

    async def _serve(self, scope: Scope, receive: Receive, send: Send, over: Closing) -> None:
        stream = _Stream(send, self._settings.stalled_timeout, self._open)
        try:
            async with self._transport.connect_sse(scope, receive, stream.send) as (read, write):
                session = self._session(scope, read, write)
                session.owner = scope.get(PRINCIPAL)
                session.over = over
                stream.session = session
                try:
                    with self._traffic.telling(session.end_if_idle):
                        await self._endpoint.serve(session.read, session.write, scope.get(PRINCIPAL))
                finally:
                    session.close()
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError, StalledError) as gone:
            log.debug("an SSE session ended: %s", gone.exceptions)
        finally:
            self._open.pop(stream.session_id, None)
        if self._removed.is_set() or over.is_set():
            await stream.end()

    def _session(self, scope: Scope, read: ReadStream[Incoming], write: WriteStream[SessionMessage]) -> Session:
        # The SDK lets nobody post to it but the one who opened it, so that what is posted counts for that one.
        admit, limit = partial(self._denials.admit, scope), self._settings.max_calls_per_session
        return Session(read, write, self._traffic, limit, admit=admit, met=self._denials.met)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one message for the session named in the query."""
        if scope["method"] != "POST":
            await refuse(scope, receive, send, 405, "post messages to this URL", {"Allow": "POST"})
            return
        if b"session_id=" not in scope["query_string"]:
            await refuse(
                scope, receive, send, 400, f"open {self._endpoint.offer.path}/sse; it names the URL to post to"
            )
            return
        session = self._session_of(scope)
        if session is not None and session.is_dropped:
            await refuse(scope, receive, send, 404, "the session has ended, its stream was not read; open another")
            return
        if session is not None and session.is_stuck:  # each message more would wait in memory, with its body
            limit = self._settings.max_calls_per_session
            reason = f"{limit} requests of this session are unanswered; read its stream first"
            await refuse(scope, receive, send, 429, reason, {"Retry-After": "1"})
            return
        try:
            body = await read_body(scope, receive, self._settings)
        except Refusal as refusal:
            await refuse(scope, receive, send, refusal.status, refusal.message)
            return
        # The SDK keeps the latest requests for as long as the session lasts; `receive` would keep their connections.
        # Accepted before it is handed on; a session that ends in between shows that by the end of its stream.
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._transport.handle_post_message(scope, body.alone(), send)

    def _session_of(self, scope: Scope) -> Session | None:
        """The session a message is for; none for anybody but its owner, to whom the SDK answers 404."""
        session = self._open.get(_session_id(scope["query_string"]))
        return session if session is not None and id_of(session.owner) == id_of(scope.get(PRINCIPAL)) else None


class StalledError(Exception):
    """The client stopped reading its stream."""


class _Stream:
    """The way out of one stream: sees what leaves, and gives up on a client that stopped reading."""

    def __init__(self, send: Send, stalled_timeout: float, sessions: dict[str, Session]) -> None:
        self._send = send
        self._stalled_timeout = stalled_timeout
        self._sessions = sessions
        self.session: Session | None = None
        self.session_id = ""
        self._open = False

    async def send(self, message: Message) -> None:
        self._open = message["type"] == "http.response.start" or bool(message.get("more_body"))
        with anyio.move_on_after(self._stalled_timeout):
            await self._send(message)
            self._note(message)
            return
        if self.session is not None:
            self.session.is_dropped = True
        raise StalledError

    async def end(self) -> None:
        """Complete the response, which whoever believes that the client is gone leaves as it is."""
        if self._open:
            with anyio.move_on_after(self._stalled_timeout):
                await self._send({"type": "http.response.body", "body": b""})

    def _note(self, message: Mapping[str, object]) -> None:
        body = message.get("body", b"")
        if self.session is None or not isinstance(body, bytes):
            return
        if body.startswith(b"event: message"):
            self.session.sent()
        elif body.startswith(b"event: endpoint"):  # only the client is told the id
            self.session_id = _session_id(body)
            self._sessions[self.session_id] = self.session


def _session_id(text: bytes) -> str:
    """The id in a query or in the event that tells it, in lower case; empty where there is none."""
    match = SESSION_ID.search(text)
    return match[1].decode().lower() if match else ""
