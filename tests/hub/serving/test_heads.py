"""Heads: the lines before a request's body, taken within a size and a time."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import uvicorn
from tests.hub.serving.test_guard import served
from uvicorn.server import ServerState

from pegboard.serving.heads import LINGER, LONGEST, Protocol
from pegboard.serving.seldom import Seldom

TIMEOUT = 30
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

    def call_later(self, seconds: float, then: Callable[..., None], *args: Any) -> Timer:
        self.timers.append(Timer(seconds, partial(then, *args)))
        return self.timers[-1]

    def create_task(self, work: Any, **_: Any) -> "asyncio.Future[None]":
        work.close()
        self.tasks += 1
        return asyncio.get_running_loop().create_future()


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.closed = self.aborted = False
        self.unread = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
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
        warnings = Seldom(logging.getLogger(__name__))
        make = partial(Protocol, head_timeout=TIMEOUT, stalled_timeout=7, warnings=warnings)
        self.protocol = make(config, ServerState(), {}, self.loop)
        self.protocol.connection_made(self.transport)  # pyright: ignore[reportArgumentType] # as much of it as is used

    def send(self, data: bytes) -> None:
        self.protocol.data_received(data)

    def answered(self) -> None:
        """The hub has answered."""
        self.protocol.cycle.response_complete = True
        self.protocol.cycle.on_response()

    @property
    def waiting(self) -> list[Timer]:
        """What ends the connection if nothing comes."""
        return [timer for timer in self.loop.timers if not timer.cancelled]


@pytest.fixture
async def connection() -> Connection:
    return Connection()


async def test_a_connection_that_says_nothing_ends(connection: Connection) -> None:
    """F-20: nobody needs a key to hold one open."""
    (timer,) = connection.waiting
    timer.then()

    assert (timer.seconds, connection.transport.closed) == (TIMEOUT, True)


async def test_a_head_that_comes_at_once_costs_no_timer(connection: Connection) -> None:
    connection.send(HEAD + b"{}")

    assert (connection.loop.tasks, connection.waiting, len(connection.loop.timers)) == (1, [], 1)


@pytest.mark.parametrize("rest", [b"", b"x", b"xx"])
async def test_a_body_that_goes_on_behind_the_answer_ends_the_connection(connection: Connection, rest: bytes) -> None:
    """F-20: a refusal comes before the body, and whoever goes on with that byte by byte stays no longer for it."""
    connection.send(HEAD.replace(b"2", b"9"))
    connection.answered()
    for byte in rest:
        connection.send(bytes([byte]))

    timer = connection.waiting[-1]
    timer.then()

    assert (timer.seconds, connection.transport.closed) == (LINGER, True)


async def test_a_body_that_ends_behind_the_answer_leaves_the_connection_open_for_the_next(
    connection: Connection,
) -> None:
    connection.send(HEAD)
    connection.answered()
    connection.send(b"{}")

    (timer,) = connection.waiting
    assert timer.seconds == connection.protocol.timeout_keep_alive

    connection.send(HEAD + b"{}")
    assert (connection.loop.tasks, connection.waiting) == (2, [])


async def test_the_answer_to_one_request_does_not_end_the_next(connection: Connection) -> None:
    connection.send(HEAD + b"{}" + HEAD)
    connection.protocol.on_response_complete()

    assert (connection.loop.tasks, connection.waiting) == (2, [])


async def test_a_client_that_does_not_read_is_cut_off(connection: Connection) -> None:
    """F-15: closing alone would wait until it has read all."""
    connection.transport.unread = 1000
    connection.protocol.pause_writing()
    timer = connection.waiting[-1]
    timer.then()
    connection.protocol.connection_lost(None)

    assert (timer.seconds, connection.transport.aborted, connection.waiting) == (7, True, [])


async def test_a_client_that_reads_slowly_may_take_its_time(connection: Connection) -> None:
    connection.transport.unread = 1000
    connection.protocol.pause_writing()
    connection.transport.unread = 999
    connection.waiting[-1].then()
    again = connection.waiting[-1]
    connection.protocol.resume_writing()

    assert (again.cancelled, connection.transport.aborted) == (True, False)


async def test_a_head_that_does_not_end_in_time_ends_the_connection(connection: Connection) -> None:
    """F-20: also one of which a byte comes now and then."""
    for byte in HEAD[:20]:
        connection.send(bytes([byte]))

    (timer,) = connection.waiting
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


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"])
async def test_what_is_no_http_is_refused_and_told_once(
    connection: Connection, caplog: pytest.LogCaptureFixture, line: bytes
) -> None:
    """S-24: whoever reaches the port could fill the log, a line for each request."""
    for _ in range(3):
        connection.send(line)

    assert connection.transport.written.startswith(b"HTTP/1.1 400 ")
    assert caplog.messages == ["Invalid HTTP request received."]


async def test_a_wish_for_another_protocol_is_answered_in_ours_and_told_once(
    connection: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """S-24."""
    for _ in range(3):
        connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

    assert connection.loop.tasks >= 1
    assert caplog.messages == ["A request for another protocol was answered in HTTP/1.1."]
