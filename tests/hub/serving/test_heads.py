"""Heads: the lines before a request's body, taken within a size and a time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import uvicorn
from tests.hub.serving.test_guard import served
from uvicorn.server import ServerState

from pegboard.serving import server
from pegboard.serving.heads import LONGEST, TIMEOUT, Protocol

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n"


class Timer:
    def __init__(self, seconds: float, then: Callable[[], None]) -> None:
        self.seconds, self.then, self.cancelled = seconds, then, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """An event loop that only writes down what it was asked for."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []
        self.tasks = 0

    def call_later(self, seconds: float, then: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, then))
        return self.timers[-1]

    def create_task(self, work: Any, **_: Any) -> "asyncio.Future[None]":
        work.close()
        self.tasks += 1
        return asyncio.get_running_loop().create_future()


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _: str) -> None:
        return None


class Connection:
    def __init__(self) -> None:
        self.loop, self.transport = Loop(), Transport()
        config = uvicorn.Config(served, lifespan="off", ws="none", log_config=None)
        config.load()
        self.protocol = Protocol(config, ServerState(), {}, self.loop)
        self.protocol.connection_made(self.transport)  # pyright: ignore[reportArgumentType] # as much of it as is used

    def send(self, data: bytes) -> None:
        self.protocol.data_received(data)

    def answered(self) -> None:
        """The hub has answered."""
        self.protocol.cycle.response_complete = True
        self.protocol.cycle.on_response()


@pytest.fixture
async def connection() -> Connection:
    return Connection()


async def test_a_head_that_comes_at_once_costs_no_timer(connection: Connection) -> None:
    connection.send(HEAD + b"{}")

    assert (connection.loop.tasks, connection.loop.timers) == (1, [])


async def test_a_head_that_does_not_end_in_time_ends_the_connection(connection: Connection) -> None:
    """F-20: also one of which a byte comes now and then."""
    for byte in HEAD[:20]:
        connection.send(bytes([byte]))

    (timer,) = connection.loop.timers
    assert (timer.seconds, timer.cancelled) == (TIMEOUT, False)
    timer.then()
    assert connection.transport.closed


async def test_the_body_has_a_time_of_its_own(connection: Connection) -> None:
    connection.send(HEAD[:20])
    connection.send(HEAD[20:])
    connection.send(b"{")

    assert [timer.cancelled for timer in connection.loop.timers] == [True]


async def test_the_next_request_has_as_much_time_and_room(connection: Connection) -> None:
    filler = b"X-A: " + b"a" * (LONGEST - 1000) + b"\r\n"
    for _ in range(3):
        connection.send(HEAD[:-2] + filler)
        connection.send(b"\r\n{}")
        connection.answered()

    assert connection.loop.tasks == 3
    assert connection.transport.written == b""
    timers = [timer for timer in connection.loop.timers if timer.seconds == TIMEOUT]
    assert [timer.cancelled for timer in timers] == [True] * 3


async def test_a_connection_that_is_lost_takes_its_timer_with_it(connection: Connection) -> None:
    connection.send(HEAD[:20])
    connection.protocol.connection_lost(None)

    assert connection.loop.timers[0].cancelled


@pytest.mark.parametrize("pieces", [1, 50])
async def test_a_head_that_is_too_long_is_refused_whole_or_in_pieces(connection: Connection, pieces: int) -> None:
    """S-21."""
    head = HEAD[:-2] + b"X-A: " + b"a" * LONGEST + b"\r\n\r\n"
    for start in range(0, len(head), len(head) // pieces):
        if not connection.transport.closed:
            connection.send(head[start : start + len(head) // pieces])

    assert connection.transport.written.startswith(b"HTTP/1.1 400 ")
    assert connection.transport.closed
    assert connection.loop.tasks == 0


async def test_a_large_body_is_no_head(connection: Connection) -> None:
    connection.send(HEAD.replace(b"2", b"%d" % (LONGEST * 2)) + b"x" * LONGEST)
    connection.send(b"x" * LONGEST)

    assert (connection.loop.tasks, connection.transport.closed) == (1, False)


def test_without_httptools_h11_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(_: str) -> None:
        return None

    monkeypatch.setattr(server, "find_spec", find_spec)

    assert server._protocol() == "h11"  # pyright: ignore[reportPrivateUsage]
