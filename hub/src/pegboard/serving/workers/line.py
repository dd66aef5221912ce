"""A line: what the supervisor and a worker tell each other, message by message, until one of them ends."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

LONGEST = 2**24
"""Bytes of one message: a report names every tool, and a reload brings the whole configuration."""

Said = dict[str, Any]


class Line:
    """One end of it. Whoever hears nothing more is alone: the other process has ended, however that came."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def tell(self, said: Mapping[str, Any]) -> None:
        """Tell the other side without waiting; what is told to nobody is lost."""
        with suppress(OSError):
            self._writer.write(written(said))

    async def hear(self) -> Said | None:
        """Wait for what the other side tells; `None` when it has ended."""
        try:
            line = await self._reader.readline()
        except OSError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@asynccontextmanager
async def line_over(stream: socket.socket) -> AsyncGenerator[Line]:
    """The line over a socket, which is closed behind it."""
    line = await opened(stream)
    try:
        yield line
    finally:
        line.close()


async def opened(stream: socket.socket) -> Line:
    """The line over a socket that it owns from now on."""
    return Line(*await asyncio.open_unix_connection(sock=stream, limit=LONGEST))


def written(said: Mapping[str, Any]) -> bytes:
    """A message, as it goes over the line."""
    return json.dumps(said).encode() + b"\n"
