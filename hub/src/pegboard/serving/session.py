"""A session's requests in flight: none twice, not too many, and each counted until its answer is out."""

import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import anyio
from mcp.shared._stream_protocols import ReadStream, WriteStream
from mcp.shared.message import SessionMessage
from mcp_types import ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse, RequestId

from pegboard.endpoint import SERVER_BUSY
from pegboard.security.limits import Limit, TooMuch
from pegboard.security.principal import Principal
from pegboard.serving.body import MAX_DIGITS
from pegboard.serving.closing import Closing
from pegboard.serving.replies import INVALID_REQUEST, RETRY_AFTER
from pegboard.serving.traffic import Gauge, Traffic

Incoming = SessionMessage | Exception
Admit = Callable[[], Awaitable[TooMuch | None]]


async def _everything() -> TooMuch | None:
    return None


class Session:
    """Stands between a transport's pair of streams and the endpoint that serves it.

    It refuses a request whose id is still in flight (the SDK would run both, and cancel the wrong one), more than
    `limit` at once, what `admit` does not let in, and new ones while the hub drains. `sent()` has to be called for each
    message that left.

    A subscription is a request that is answered when it ends, so nothing waits for it.
    """

    def __init__(
        self,
        read: ReadStream[Incoming],
        write: WriteStream[SessionMessage],
        traffic: Traffic,
        limit: int,
        *,
        answer_before_end: bool = False,
        admit: Admit = _everything,
        met: Callable[[Limit], None] = lambda _: None,
        transport: str = "sse",
    ) -> None:
        self.read = _Read(read, self, answer_before_end=answer_before_end)
        self.write = _Write(write, self)
        self._traffic = traffic
        self._limit = limit
        self._admit = admit
        self._met = met
        self._transport = transport
        self._began: dict[RequestId | None, tuple[str, float]] = {}
        self._in_flight: dict[RequestId | None, Gauge] = {}
        self._leaving: deque[Gauge | None] = deque()
        self._unread = 0  # answers among those
        self._idle: anyio.Event | None = None  # most sessions wait for it never
        self.owner: Principal | None = None
        """Who opened it: nobody else learns anything about it."""
        self.over: Closing | None = None
        """Set when the hub drains and nothing of the session is in flight: its client does better elsewhere."""
        self.is_dropped = False
        """Whether it was given up; what the SDK has in flight may take seconds to end."""
        self.is_stuck = False
        """Whether a refusal waits for a client that does not read: nothing more can be taken until it does."""

    async def too_much(self) -> ErrorData | None:
        """Why one request more is not taken from whoever sends them."""
        limit = await self._admit()
        if limit is None:
            return None
        return ErrorData(code=SERVER_BUSY, message=limit.message, data={RETRY_AFTER: limit.retry_after})

    def problem_with(self, request: JSONRPCRequest) -> ErrorData | None:
        """Why the request is not taken; `None` counts it as in flight."""
        key = _key(request.id)
        if key in self._in_flight:
            return ErrorData(code=INVALID_REQUEST, message=f"a request with the id {request.id!r} is still in flight")
        if len(self._in_flight) + self._unread >= self._limit:
            self._met("session")
            return ErrorData(code=SERVER_BUSY, message=f"{self._limit} requests of this session are in flight already")
        if self._traffic.draining:
            return ErrorData(code=SERVER_BUSY, message="the hub is shutting down; connect again in a moment")
        listens = request.method == "subscriptions/listen"
        self._in_flight[key] = self._traffic.subscriptions if listens else self._traffic.exchanges
        self._in_flight[key].add()
        self._began[key] = (request.method, time.perf_counter())
        return None

    def cancelled(self, notification: JSONRPCNotification) -> None:
        """The client gave a request up; nobody will answer it."""
        key = _key((notification.params or {}).get("requestId"))
        gauge = self._in_flight.pop(key, None)
        if gauge is not None:
            self._count(key, "cancelled")
            self._ended(gauge)
            self.end_if_idle()

    def handed(self, message: SessionMessage) -> None:
        """A message is on its way to the client; an answer stays in flight until it has left."""
        inner = message.message
        key = _key(inner.id) if isinstance(inner, JSONRPCResponse | JSONRPCError) else None
        gauge = self._in_flight.pop(key, None)
        self._leaving.append(gauge)
        self._unread += gauge is not None
        if gauge is not None:
            self._count(key, "ok" if isinstance(inner, JSONRPCResponse) else "error")

    def refused(self) -> None:
        """A refusal is on its way; it carries the id of a request in flight and does not answer that."""
        self._leaving.append(None)

    def sent(self) -> None:
        """The oldest message on its way has left."""
        gauge = self._leaving.popleft() if self._leaving else None
        if gauge is not None:
            self._unread -= 1
            self._ended(gauge)
        self.end_if_idle()

    def close(self) -> None:
        """The session is over: what is still in flight will not be answered."""
        for gauge in self._unanswered():
            gauge.remove()
        for key in list(self._began):
            self._count(key, "cancelled")
        self._in_flight.clear()
        self._leaving.clear()

    async def wait_idle(self) -> None:
        """Wait until every request has its answer and every answer has left; subscriptions do not count."""
        while self._traffic.exchanges in self._unanswered():
            self._idle = anyio.Event()
            await self._idle.wait()

    def end_if_idle(self) -> None:
        """While the hub drains: be over as soon as everything is answered, refusals too."""
        idle = not self._leaving and self._traffic.exchanges not in self._unanswered()
        if self.over is not None and self._traffic.draining and idle:
            self.over.set()

    def _unanswered(self) -> list[Gauge]:
        return [*self._in_flight.values(), *(gauge for gauge in self._leaving if gauge is not None)]

    def count_refused(self, method: str) -> None:
        """Count a request that was not taken."""
        self._traffic.metrics.request(method, self._transport, "refused", 0)

    def _count(self, key: RequestId | None, status: str) -> None:
        method, began = self._began.pop(key)
        self._traffic.metrics.request(method, self._transport, status, time.perf_counter() - began)

    def _ended(self, gauge: Gauge) -> None:
        gauge.remove()
        if self._idle is not None:
            self._idle.set()


def _key(request_id: Any) -> RequestId | None:
    """The id as the SDK compares it: `"7"` and `7` are one."""
    if not isinstance(request_id, str | int):
        return None
    is_number = isinstance(request_id, str) and request_id.isascii() and request_id.isdigit()
    return int(request_id) if is_number and len(str(request_id)) <= MAX_DIGITS else request_id


class _Read:
    """The read stream with the session's rules applied; keeps `last_context`, by which traces and users travel."""

    def __init__(self, inner: ReadStream[Incoming], session: Session, *, answer_before_end: bool) -> None:
        self._inner = inner
        self._session = session
        self._answer_before_end = answer_before_end

    @property
    def last_context(self) -> contextvars.Context | None:
        return getattr(self._inner, "last_context", None)

    async def receive(self) -> Incoming:
        while True:
            try:
                item = await self._inner.receive()
            except anyio.EndOfStream:
                if self._answer_before_end:
                    await self._session.wait_idle()
                raise
            if await self._accepts(item):
                return item

    async def _accepts(self, item: Incoming) -> bool:
        message = item.message if isinstance(item, SessionMessage) else None
        if isinstance(message, JSONRPCRequest):
            problem = await self._session.too_much() or self._session.problem_with(message)
            if problem is not None:
                self._session.count_refused(message.method)
                error = JSONRPCError(jsonrpc="2.0", id=message.id, error=problem)
                await self._session.write.refuse(SessionMessage(error))
            return problem is None
        if isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._session.cancelled(message)
        return True

    async def aclose(self) -> None:
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Incoming:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


class _Write:
    """The write stream; tells the session of every message that passes."""

    def __init__(self, inner: WriteStream[SessionMessage], session: Session) -> None:
        self._inner = inner
        self._session = session
        self.after_send: Callable[[], None] | None = None

    async def send(self, item: SessionMessage, /) -> None:
        self._session.handed(item)
        await self._send(item)

    async def refuse(self, item: SessionMessage) -> None:
        """Send an error that answers nothing in flight."""
        self._session.refused()
        self._session.is_stuck = True
        try:
            await self._send(item)
        finally:
            self._session.is_stuck = False

    async def _send(self, item: SessionMessage) -> None:
        await self._inner.send(item)
        if self.after_send is not None:
            self.after_send()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()
