"""Frames: messages of ASGI on a stream between two workers, each a head of JSON with bytes behind it."""

import asyncio
import json
import struct
from typing import Any

from starlette.types import Message

LENGTHS = struct.Struct(">II")

LEFT = (EOFError, OSError)
"""How it shows that the other worker has ended a stream, or itself."""

BYTES = frozenset(("raw_path", "query_string"))
PAIRS = frozenset(("client", "server"))


class Frames:
    """Sends and receives whole messages; one at a time each way.

    Raises one of `LEFT` when the other worker has ended the stream, or itself. On the streams of asyncio, since who
    waits for a message may be cancelled: those of anyio can log a traceback then, or lose half of it.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @property
    def is_open(self) -> bool:
        """Whether the other worker is still there, as far as is known."""
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def send(self, message: Message) -> None:
        """Send one message; waits while the other worker has no room for it."""
        body: bytes = message.get("body", b"")
        head = json.dumps({key: _told(key, value) for key, value in message.items() if key != "body"}).encode()
        self._writer.write(LENGTHS.pack(len(head), len(body)) + head + body)
        await self._writer.drain()

    async def receive(self) -> Message:
        """Wait for the next message."""
        head, body = LENGTHS.unpack(await self._reader.readexactly(LENGTHS.size))
        told = json.loads(await self._reader.readexactly(head))
        message = {key: _read(key, value) for key, value in told.items()}
        message["body"] = await self._reader.readexactly(body) if body else b""
        return message

    def close(self) -> None:
        """End the stream; what was sent still arrives."""
        self._writer.close()


def _told(key: str, value: Any) -> Any:
    if key == "headers":
        return [(name.decode("latin-1"), content.decode("latin-1")) for name, content in value]
    return value.decode("latin-1") if key in BYTES else value


def _read(key: str, value: Any) -> Any:
    if key == "headers":
        return [(name.encode("latin-1"), content.encode("latin-1")) for name, content in value]
    if key in BYTES:
        return value.encode("latin-1")
    return tuple(value) if key in PAIRS and value is not None else value
