"""Requests that two readers could read in two ways: refused, or closed, before anything is served (S-21)."""

import anyio
import pytest
from tests.system.processes import HubProcess
from tests.system.raw import exchange

BODY = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
LENGTH = str(len(BODY)).encode()
HOST = b"Host: localhost\r\n"
CHUNKED_BODY = b"28\r\n" + BODY + b"\r\n0\r\n\r\n"
VERSION = b"MCP-Protocol-Version: 2026-07-28\r\n"
TOO_LONG = [
    (400, b"The head of the request is too long."),
    (400, b"Invalid HTTP request received."),
    (0, b""),  # closed before all was sent
]
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(*headers: bytes, body: bytes = BODY) -> bytes:
    return b"POST /mcp HTTP/1.1\r\n" + b"".join(headers) + b"Content-Type: application/json\r\n\r\n" + body


def get(*headers: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\n" + b"".join(headers) + b"\r\n"


REQUESTS = {
    "CL and TE": post(HOST, b"Content-Length: 4\r\n", CHUNKED, body=b"28\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "TE and CL": post(HOST, CHUNKED, b"Content-Length: 4\r\n", body=b"28\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "two lengths": post(HOST, b"Content-Length: " + LENGTH + b"\r\nContent-Length: 4\r\n"),
    "two equal lengths": post(HOST, (b"Content-Length: " + LENGTH + b"\r\n") * 2),
    "a list of lengths": post(HOST, b"Content-Length: " + LENGTH + b", " + LENGTH + b"\r\n"),
    "a negative length": post(HOST, b"Content-Length: -1\r\n"),
    "a length that is no number": post(HOST, b"Content-Length: 0x28\r\n"),
    "an unknown transfer encoding": post(HOST, b"Transfer-Encoding: xchunked\r\n"),
    "a chunk size that is no number": post(HOST, CHUNKED, body=b"zz\r\n" + BODY),
    "no host": get(),
    "two hosts": get(HOST, HOST),
    "two different hosts": get(HOST, b"Host: evil.example\r\n"),
    "NUL in a header": get(HOST, b"X-A: a\x00b\r\n"),
    "NUL in the name of a header": get(HOST, b"X\x00A: a\r\n"),
    "a bare CR in a header": get(HOST, b"X-A: a\rX-B: b\r\n"),
    "a space before the colon": get(HOST, b"Content-Length : 0\r\n"),
    "a folded header": get(HOST, b"X-A: a\r\n b\r\n"),
    "NUL in the path": b"GET /\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_ambiguous_requests_are_refused(shared_hub: HubProcess, what: str) -> None:
    """S-21."""
    status, body = await exchange(shared_hub.port, REQUESTS[what])
    assert status in (400, 421), what
    assert BODY not in body


@pytest.mark.parametrize("count", [1, 20])
async def test_a_head_that_is_too_long_is_refused(shared_hub: HubProcess, count: int) -> None:
    """S-21: 200 KB in one header, or in some."""
    headers = [b"X-%d: %b\r\n" % (number, b"a" * (200_000 // count)) for number in range(count)]

    assert await exchange(shared_hub.port, get(HOST, *headers)) in TOO_LONG
    assert (await exchange(shared_hub.port, get(HOST, b"X-A: " + b"a" * 30_000 + b"\r\n")))[0] == 200


@pytest.mark.parametrize("piece", [b"a" * 4096, b"a: b\r\n" * 500], ids=["a line", "lines"])
async def test_a_head_without_end_is_cut_off(shared_hub: HubProcess, piece: bytes) -> None:
    """S-21."""
    sent = 0
    with anyio.fail_after(10):
        async with await anyio.connect_tcp("127.0.0.1", shared_hub.port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\n" + HOST)
            try:
                while True:
                    await stream.send(piece)
                    sent += len(piece)
            except anyio.BrokenResourceError:
                pass
    assert sent < 16 * 1024 * 1024  # what the two systems hold between them


@pytest.mark.parametrize("trailer", [b"Host: evil.example", b"Origin: https://evil.example", b"Mcp-Method: x"])
async def test_what_stands_behind_the_body_is_no_header(shared_hub: HubProcess, trailer: bytes) -> None:
    """S-21: a proxy has not looked at it."""
    body = b"28\r\n" + BODY + b"\r\n0\r\n" + trailer + b"\r\n\r\n"
    headers = (HOST, CHUNKED, b"Accept: application/json, text/event-stream\r\n", VERSION, b"Mcp-Method: ping\r\n")

    status, answer = await exchange(shared_hub.port, post(*headers, body=body))

    assert (status, answer) == await exchange(shared_hub.port, post(*headers, body=CHUNKED_BODY))
    assert b'"id":1' in answer
