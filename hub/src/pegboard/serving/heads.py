"""Heads: the lines before a request's body, taken within a size and a time, as bodies are.

No connection stays for somebody who does nothing with it: who sends no head, or not the rest of a body that was
answered already, or does not read the answer.

uvicorn reads with httptools, which is fast and strict, and would take a head without end for as long as it lasts.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pegboard.serving.seldom import Seldom

LONGEST = 64 * 1024
"""Bytes of all lines together: more than any proxy lets through."""

LINGER = 5.0
"""Seconds in which the rest of a body may come that was answered already; with none the answer might be lost."""


class Protocol(HttpToolsProtocol):
    """A connection whose requests begin in time, and with no more than a head should hold."""

    def __init__(
        self, *args: Any, head_timeout: float, stalled_timeout: float, warnings: Seldom, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.logger: Any = warnings
        self._head_timeout = head_timeout  # from the first byte to the last; for the first head, from the connection on
        self._stalled_timeout = stalled_timeout
        self._received = 0
        self._in_body = False
        self._late: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._end_after(self._head_timeout)

    def data_received(self, data: bytes) -> None:
        if not self._in_body:
            self._received += len(data)
        super().data_received(data)
        if self._in_body or not self._received or self.transport.is_closing():
            return
        if self._received > LONGEST:
            self.send_400_response("The head of the request is too long.")
        elif self._late is None:
            self._end_after(self._head_timeout)

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
        if self._late is not None:  # the rest has come; uvicorn has forgotten that nothing else may
            self._in_time()
            self._end_after(self.timeout_keep_alive)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_body and self.cycle.response_complete:
            self._end_after(min(LINGER, self._head_timeout))

    def _unsupported_upgrade_warning(self) -> None:
        self.logger.warning("A request for another protocol was answered in HTTP/1.1.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_again(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_read()

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        self._is_read()
        super().connection_lost(exc)

    def _end_after(self, seconds: float) -> None:
        self._late = self.loop.call_later(seconds, self.transport.close)

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _look_again(self, left: int) -> None:
        self._unread = self.loop.call_later(self._stalled_timeout, self._look, left)

    def _look(self, before: int) -> None:
        """End the connection if nothing was read meanwhile; a slow client may take its time."""
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._look_again(left)
        else:
            self.transport.abort()  # closing would wait until all is read

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
