"""Handing over: a request that only another worker can answer goes there, and its answer comes back as it is made."""

import asyncio
import logging
import re
from collections import defaultdict
from contextlib import nullcontext

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pegboard.serving.replies import refuse
from pegboard.serving.traffic import Gauge
from pegboard.serving.workers.assignment import Assignment
from pegboard.serving.workers.door import DONE
from pegboard.serving.workers.frames import LEFT, Frames

log = logging.getLogger(__name__)

SESSION = b"mcp-session-id"
MESSAGES = re.compile("/messages/([a-z0-9-]+)/$")

HANDED = ("type", "http_version", "method", "scheme", "path", "raw_path", "query_string", "root_path", "headers")
HANDED_TOO = ("client", "server", "pegboard.endpoint")
MOST_IDLE = 32
"""Streams to one worker that are kept for the next request."""

GONE = "the worker that kept this session has ended; open another"


class Handover:
    """Stands before a worker's app. A message of an SSE session names its worker in the path, and so does the id of a
    session on `/mcp`, where it is put in front on the way out and taken off on the way in."""

    def __init__(self, assignment: Assignment, app: ASGIApp) -> None:
        self.handed = Gauge()
        """Requests that others answer at this moment; they have an end."""
        self._assignment = assignment
        self._mark = f"{assignment.name}-".encode()
        self._app = app
        self._idle: defaultdict[str, list[Frames]] = defaultdict(list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        owner = self._owner(scope) if scope["type"] == "http" else None
        if owner is None or owner == self._assignment.name:
            await self.own(scope, receive, send)
            return
        try:
            frames = await self._begin(owner, scope)
        except OSError:  # it is not there; what it kept is gone, and clients begin anew at a 404
            await refuse(scope, receive, send, 404, GONE)
            return
        with self.handed if scope["method"] != "GET" else nullcontext():
            await self._through(owner, frames, scope, receive, send)

    async def own(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer here, whatever the request says."""
        scope = {**scope, "headers": [self._without_mark(*header) for header in scope["headers"]]}

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [self._with_mark(*header) for header in message["headers"]]}
            await send(message)

        await self._app(scope, receive, sending)

    async def ask(self, other: str, scope: Scope, send: Send) -> None:
        """Have another worker answer the same request without a body; raises `OSError` when it is not there."""

        await self._through(other, await self._begin(other, scope), scope, nothing_more(), send)

    async def close(self) -> None:
        """Close the streams that are kept for later."""
        for frames in [frames for idle in self._idle.values() for frames in idle]:
            frames.close()
        self._idle.clear()
        await anyio.sleep(0)  # they are closed when the loop comes round

    def _owner(self, scope: Scope) -> str | None:
        found = MESSAGES.search(scope["path"])
        named = found[1] if found else _session(scope).rpartition("-")[0]
        return named if named in self._assignment.names else None

    def _without_mark(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        return name, value.removeprefix(self._mark) if name == SESSION else value

    def _with_mark(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        return name, self._mark + value if name == SESSION else value

    async def _begin(self, other: str, scope: Scope) -> Frames:
        """A stream to the other worker that the head of the request has gone out on."""
        head = {key: scope[key] for key in (*HANDED, *HANDED_TOO) if key in scope}
        frames = self._idle_to(other) or Frames(*await asyncio.open_unix_connection(self._assignment.door_of(other)))
        await frames.send(head)
        return frames

    def _idle_to(self, other: str) -> Frames | None:
        """A stream that was used before, if there is one that leads to the worker there is now."""
        idle = self._idle[other]
        while idle:
            frames = idle.pop()
            if frames.is_open:
                return frames
            frames.close()
        return None

    async def _through(self, other: str, frames: Frames, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the body there and the answer back; whoever leaves first ends both."""
        passing = _Passing(frames, receive, send)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(passing.bring)
                await passing.fetch()
                tasks.cancel_scope.cancel()
        finally:
            if passing.is_done and len(self._idle[other]) < MOST_IDLE:
                self._idle[other].append(frames)
            else:
                frames.close()
        if not passing.has_started and not passing.client_left:
            log.warning("worker %s has ended before it answered", other)
            await refuse(scope, receive, send, 502, "the worker that served this has ended; look before you repeat it")


class _Passing:
    """One request on its way through this worker."""

    def __init__(self, frames: Frames, receive: Receive, send: Send) -> None:
        self.has_started = False
        self.is_done = False
        self.client_left = False
        self._frames = frames
        self._receive = receive
        self._send = send

    async def bring(self) -> None:
        """Bring the body, and the news that the client has left."""
        try:
            while (message := await self._receive())["type"] != "http.disconnect":
                await self._frames.send(message)
            self.client_left = True
            self._frames.close()
        except LEFT:
            return

    async def fetch(self) -> None:
        """Fetch the answer, as it is made, until it is whole or one of the two has left."""
        try:
            while (message := await self._frames.receive())["type"] != DONE:
                self.has_started = True
                await self._send(message)
            self.is_done = True
        except LEFT:
            return


def nothing_more() -> Receive:
    """A `receive` of a request without a body, by a client that stays."""
    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop()

    return receive


def _session(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == SESSION), "")
