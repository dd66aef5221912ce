"""A crowd: any number of open SSE sessions that ask in turns, all at once, or each now and then."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Protocol

import psutil

from bench import wire
from bench.callers import SessionCaller, Tally
from bench.load import CALLERS, WARM_UP, Clocks, Sample, WrongAnswerError, sample_of, settled, undisturbed

OPENING = 50
"""Sessions that are opened side by side; more would measure the queue of new connections."""


class Order(Protocol):
    """Says what is next when a session has its answer."""

    def answered(self, member: "Member") -> None: ...


class Member(SessionCaller):
    """One session of a crowd: asks when it is told to."""

    order: Order

    def one_down(self) -> None:
        self.waiting -= 1
        if not self.waiting:
            self.order.answered(self)


class Turns:
    """So many ask at a time, and the others wait in line."""

    def __init__(self, members: list[Member], at_once: int, tally: Tally) -> None:
        self.line = deque(members)
        self.tally = tally
        tally.busy = at_once

    def begin(self) -> None:
        for _ in range(self.tally.busy):
            self.line.popleft().ask()

    def answered(self, member: Member) -> None:
        self.line.append(member)
        if self.tally.stopping:
            self.tally.rest()
        else:
            self.line.popleft().ask()


class Pace:
    """So many ask each second, whatever has been answered; who asks next is who has waited longest.

    A question counts from the moment it was due: a server that keeps everybody waiting gets no fewer of them for it.
    """

    def __init__(self, members: list[Member], rate: float, count: int, tally: Tally) -> None:
        self.line = deque(members)
        self.rate = rate
        self.count = count
        self.tally = tally
        tally.busy = count

    async def run(self) -> None:
        began = perf_counter()
        for number in range(self.count):
            due = began + number / self.rate
            await undisturbed(self.tally, max(0.0, due - perf_counter()))
            if not self.line:
                raise WrongAnswerError("all sessions wait for an answer")
            member = self.line.popleft()
            member.ask()
            member.asked = due

    def answered(self, member: Member) -> None:
        self.line.append(member)
        self.tally.rest()


class Crowd:
    """Open sessions, and what they have seen. Each question raises `WrongAnswerError` at the first wrong answer."""

    def __init__(self, members: list[Member], tally: Tally) -> None:
        self.members = members
        self.tally = tally

    async def ask_for(self, seconds: float, server: psutil.Process) -> Sample:
        """Ask in turns for so long."""
        self._take(turns := Turns(self.members, min(CALLERS, len(self.members)), self.tally))
        turns.begin()
        await undisturbed(self.tally, WARM_UP)
        self.tally.counting, before = True, Clocks.read(server)
        await undisturbed(self.tally, seconds)
        self.tally.counting, after = False, Clocks.read(server)
        await self._rest()
        return sample_of(self.tally.latencies, before, after)

    async def ask_at_once(self) -> list[float]:
        """The seconds each waits when all ask at the same time, sorted."""
        self._take(turns := Turns(self.members, len(self.members), self.tally))
        self.tally.counting = True
        turns.begin()
        await self._rest()
        return sorted(self.tally.latencies)

    async def ask_now_and_then(self, rate: float, seconds: float) -> list[float]:
        """The seconds each call takes when so many are asked each second, one session after the other, sorted."""
        self._take(pace := Pace(self.members, rate, max(1, round(rate * seconds)), self.tally))
        self.tally.counting = True
        await pace.run()
        await self._rest()
        return sorted(self.tally.latencies)

    def _take(self, order: Order) -> None:
        self.tally.stopping, self.tally.counting = False, False
        self.tally.latencies, self.tally.idle = [], asyncio.get_running_loop().create_future()
        for member in self.members:
            member.order = order

    async def _rest(self) -> None:
        self.tally.stopping = True
        await settled(self.tally, self.tally.idle)


def p99(latencies: list[float]) -> float:
    """What 99 of 100 are not above, of sorted ones."""
    return latencies[len(latencies) * 99 // 100]


@asynccontextmanager
async def crowd(port: int, size: int, path: str, asked: wire.Asked = wire.ECHO) -> AsyncGenerator[Crowd]:
    """So many open sessions inside the block; raises `WrongAnswerError` when one of them is refused."""
    tally = Tally(size)
    members = [Member(path, tally, asked=asked) for _ in range(size)]
    for some in batches(members):
        await settled(tally, asyncio.gather(*(member.open(port) for member in some)))
    try:
        yield Crowd(members, tally)
    finally:
        for member in members:
            member.close()


def batches(members: list[Member]) -> Iterator[list[Member]]:
    for begin in range(0, len(members), OPENING):
        yield members[begin : begin + OPENING]
