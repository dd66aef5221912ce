"""An HTTP upstream that carries out what it is sent: a line in the ledger for each request, and then an answer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
from anyio.abc import SocketAttribute

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b"


@asynccontextmanager
async def upstream(ledger: Path) -> AsyncGenerator[int]:
    """The port it listens on; `/TAG` is answered with the tag, which stands in the ledger then."""

    async def serve(stream: anyio.abc.SocketStream) -> None:
        try:
            async with stream:
                while True:
                    await _answer(stream, ledger)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def _answer(stream: anyio.abc.SocketStream, ledger: Path) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += await stream.receive()
    tag = head.split(b" ", 2)[1].removeprefix(b"/")
    with ledger.open("ab") as file:
        file.write(tag + b"\n")
    await stream.send(ANSWER % (len(tag), tag))
