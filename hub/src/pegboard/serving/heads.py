"""Heads: the lines before a request's body, taken within a size and a time, as bodies are.

uvicorn reads with httptools where it can, which is fast and strict, and would take a head without end for as long as it
lasts. Without httptools it reads with h11, which has a limit of its own.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST = 64 * 1024
"""Bytes of all lines together: more than any proxy lets through."""

TIMEOUT = 30.0
"""Seconds from the first byte to the last."""


class Protocol(HttpToolsProtocol):
    """A connection whose requests begin in time, and with no more than a head should hold."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._received = 0
        self._in_body = False
        self._late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._received += len(data)
        super().data_received(data)
        if self._in_body or not self._received or self.transport.is_closing():
            return
        if self._received > LONGEST:
            self.send_400_response("The head of the request is too long.")
        elif self._late is None:
            self._late = self.loop.call_later(TIMEOUT, self.transport.close)

    def on_headers_complete(self) -> None:
        self._in_body = True
        self._in_time()
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > LONGEST:
            raise ValueError("the head is too long")  # the parser makes a 400 of it
        super().on_headers_complete()
        # What comes behind the body is no header, though it looks like one: nobody in front has looked at it.
        self.headers = [*self.headers]

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body, self._received = False, 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
