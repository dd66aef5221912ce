"""Bytes to a port and back, for requests that no HTTP client would send."""

import anyio
import anyio.abc


async def exchange(port: int, sent: bytes, *, timeout: float = 10) -> tuple[int, bytes]:
    """Send bytes and return the status and the body of the first answer, read until its length or the end."""
    with anyio.fail_after(timeout):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            try:
                await stream.send(sent)
            except anyio.BrokenResourceError:  # refused before all of it was sent
                pass
            return parse(await receive(stream))


async def receive(stream: anyio.abc.ByteReceiveStream) -> bytes:
    """Everything until a whole answer is there."""
    received = b""
    try:
        while not whole(received):
            received += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        pass
    return received


def whole(received: bytes) -> bool:
    """Whether there is an answer with as much body as it announces."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = next((line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    return bool(end) and length is not None and len(body) >= int(length)


def parse(received: bytes) -> tuple[int, bytes]:
    """Status and body; 0 when the connection was closed without an answer."""
    head, _, body = received.partition(b"\r\n\r\n")
    return (int(head.split(b" ", 2)[1]), body) if head.startswith(b"HTTP/") else (0, b"")
