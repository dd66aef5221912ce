"""HTTP/1.1 connections for the load generator.

Raw asyncio protocols with a parser in C, no streams and no tasks: a general HTTP client spends more on a request than
the servers do on the answer, and would measure itself.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools


class Connection(asyncio.Protocol):
    """One keep-alive connection; says so when it is lost."""

    transport: asyncio.Transport

    def __init__(self, lost: Callable[[str], None]) -> None:
        self.lost = lost
        self.closed = False
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.lost(f"the server sent no HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed:
            self.lost(f"the server closed the connection: {exc}")

    def close(self) -> None:
        self.closed = True
        self.transport.close()


class Exchange(Connection):
    """Hands over each response, status and body."""

    def __init__(self, answered: Callable[[int, bytes], None], lost: Callable[[str], None]) -> None:
        super().__init__(lost)
        self.answered = answered
        self.pieces: list[bytes] = []

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        body = b"".join(self.pieces)
        self.pieces.clear()
        self.answered(self.parser.get_status_code(), body)


class EventStream(Connection):
    """Hands over the data of each event of a response that never ends."""

    def __init__(self, event: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        super().__init__(lost)
        self.event = event
        self.rest = b""

    def on_headers_complete(self) -> None:
        if (status := self.parser.get_status_code()) != 200:
            self.lost(f"the stream was refused with status {status}")

    def on_body(self, body: bytes) -> None:
        *events, self.rest = (self.rest + body).replace(b"\r\n", b"\n").split(b"\n\n")
        for event in events:
            if data := b"".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")):
                self.event(data)
