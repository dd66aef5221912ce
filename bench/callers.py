"""Callers: each asks one question after the other, waiting for the answer in between."""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import count
from time import perf_counter
from typing import Protocol

from bench import wire
from bench.connections import EventStream, Exchange

numbers = partial(next, count(int(wire.MARK) + 1))
"""The next number nobody has used; a process-wide count, so that an answer to another caller is a wrong answer."""


class Tally:
    """What the callers of one sample have seen: latencies while it counts, and the first thing that went wrong."""

    def __init__(self, callers: int) -> None:
        self.latencies: list[float] = []
        self.counting = False
        self.stopping = False
        self.busy = callers
        self.idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failure: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(self, latency: float) -> None:
        if self.counting:
            self.latencies.append(latency)

    def fail(self, reason: str) -> None:
        if not self.failure.done():
            self.failure.set_result(reason)

    def rest(self) -> None:
        """One caller has its last answer."""
        self.busy -= 1
        if not self.busy:
            self.idle.set_result(None)


class Caller(Protocol):
    """Opened and started once; goes on until the tally is stopping."""

    async def open(self, port: int) -> None: ...
    def ask(self) -> None: ...
    def close(self) -> None: ...


class StatelessCaller:
    """Asks on `/mcp`, 2026-07-28: one connection, one request, one response."""

    exchange: Exchange

    def __init__(self, question: wire.Question, tally: Tally) -> None:
        self.question = question
        self.tally = tally

    async def open(self, port: int) -> None:
        make = partial(Exchange, self.answered, self.tally.fail)
        _, self.exchange = await asyncio.get_running_loop().create_connection(make, "127.0.0.1", port)

    def ask(self) -> None:
        self.number = str(numbers()).encode()
        self.asked = perf_counter()
        self.exchange.transport.write(self.question.numbered(self.number))

    def answered(self, status: int, body: bytes) -> None:
        self.tally.take(perf_counter() - self.asked)
        if status != 200 or not self.question.answered_by(body, self.number):
            self.tally.fail(f"a wrong answer, status {status}: {body[:500]!r}")
        elif self.tally.stopping:
            self.tally.rest()
        else:
            self.ask()

    def close(self) -> None:
        self.exchange.close()


class SessionCaller:
    """Asks in an SSE session of its own: the request goes by POST, the answer comes on the stream."""

    stream: EventStream
    exchange: Exchange
    endpoint: str
    question: wire.Question

    def __init__(
        self, path: str, tally: Tally, headers: wire.Headers = wire.NO_HEADERS, asked: wire.Asked = wire.ECHO
    ) -> None:
        self.path = path
        self.headers = headers
        self.tally = tally
        self.what = asked

    async def open(self, port: int) -> None:
        """Open the stream, learn where to post, shake hands; from then on callbacks do the work."""
        connect = asyncio.get_running_loop().create_connection
        events: asyncio.Queue[bytes] = asyncio.Queue()
        posts: asyncio.Queue[int] = asyncio.Queue()
        _, self.stream = await connect(partial(EventStream, events.put_nowait, self.tally.fail), "127.0.0.1", port)
        self.stream.transport.write(wire.get_stream(self.path, self.headers))
        endpoint = self.endpoint = (await events.get()).decode()
        make = partial(Exchange, lambda status, _: posts.put_nowait(status), self.tally.fail)
        _, self.exchange = await connect(make, "127.0.0.1", port)
        await self.shake_hands(endpoint, events, posts)
        self.question = wire.legacy("tools/call", self.what.params, endpoint, self.what.check, self.headers)
        self.stream.event = self.answered
        self.exchange.answered = self.posted

    async def shake_hands(self, endpoint: str, events: asyncio.Queue[bytes], posts: asyncio.Queue[int]) -> None:
        write = self.exchange.transport.write
        initialize = wire.legacy("initialize", wire.INITIALIZE, endpoint, wire.is_initialized, self.headers)
        number = str(numbers()).encode()
        write(initialize.numbered(number))
        if await posts.get() != 202 or not initialize.answered_by(await events.get(), number):
            self.tally.fail("the server did not agree to initialize")
        write(wire.post(endpoint, {"jsonrpc": "2.0", "method": "notifications/initialized"}, self.headers))
        if await posts.get() != 202:
            self.tally.fail("the server did not accept notifications/initialized")

    def ask(self) -> None:
        self.number = str(numbers()).encode()
        self.waiting = 2
        self.asked = perf_counter()
        self.exchange.transport.write(self.question.numbered(self.number))

    def posted(self, status: int, body: bytes) -> None:
        if status == 202:
            self.one_down()
        else:
            self.tally.fail(f"a message was refused, status {status}: {body[:500]!r}")

    def answered(self, data: bytes) -> None:
        self.tally.take(perf_counter() - self.asked)
        if self.question.answered_by(data, self.number):
            self.one_down()
        else:
            self.tally.fail(f"a wrong answer: {data[:500]!r}")

    def one_down(self) -> None:
        """Either the 202 or the answer is here; HTTP/1.1 wants both before the next request."""
        self.waiting -= 1
        if self.waiting:
            return
        if self.tally.stopping:
            self.tally.rest()
        else:
            self.ask()

    def close(self) -> None:
        self.exchange.close()
        self.stream.close()


MakeCaller = Callable[[Tally], Caller]
