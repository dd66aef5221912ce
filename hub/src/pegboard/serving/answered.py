"""How a request over `/mcp` ended, seen from what is sent in answer to it."""

import re
import time
from types import TracebackType
from typing import Self

from starlette.types import Message, Send

from pegboard.metrics import Metrics

ANSWER = re.compile(rb'"jsonrpc": ?"2\.0", ?"id": ?(?:"(?:[^"\\]|\\.){0,300}"|[^",]{1,300}), ?"(result|error)"')
HEAD = 700
"""Bytes at the beginning of a part of the body, in which the head of the answer stands if it is in there."""

BUSY = (429, 503)
EVENTS = b"text/event-stream"


class Answered:
    """Counts one request when it is left; `send` has to be used for whatever is sent."""

    def __init__(self, send: Send, metrics: Metrics, method: str) -> None:
        self._send = send
        self._metrics = metrics
        self._method = method
        self._outcome = "cancelled"
        self.has_begun = False
        self.takes_events = False
        """Whether the answer is a stream of events that has not ended."""
        self._began = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._metrics.request(self._method, "mcp", self._outcome, time.perf_counter() - self._began)

    async def send(self, message: Message) -> None:
        """Pass it on, and see what it says."""
        if message["type"] == "http.response.start":
            status = message["status"]
            self._outcome = "refused" if status in BUSY else "error" if status >= 400 else self._outcome
            self.has_begun, self.takes_events = True, _is_stream(message)
        elif self._outcome == "cancelled":
            found = ANSWER.search(message.get("body", b"")[:HEAD])
            if found is not None:
                self._outcome = "ok" if found[1] == b"result" else "error"
        if not message.get("more_body") and message["type"] == "http.response.body":
            self.takes_events = False
        await self._send(message)


def _is_stream(start: Message) -> bool:
    return any(name == b"content-type" and value.startswith(EVENTS) for name, value in start["headers"])
