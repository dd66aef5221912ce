"""A crowd: any number of open SSE sessions, of which a few at a time ask, each in its turn."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import psutil

from bench import wire
from bench.callers import SessionCaller, Tally
from bench.load import CALLERS, WARM_UP, Clocks, Sample, sample_of, settled, undisturbed

OPENING = 50
"""Sessions that are opened side by side; more would measure the queue of new connections."""


class Turns:
    """Who asks next: so many at a time, the others wait in line."""

    def __init__(self, at_once: int) -> None:
        self.free = at_once
        self.line: deque[Member] = deque()


class Member(SessionCaller):
    """One session of a crowd: asks when it is its turn."""

    def __init__(self, path: str, tally: Tally, turns: Turns, headers: wire.Headers = wire.NO_HEADERS) -> None:
        super().__init__(path, tally, headers)
        self.turns = turns

    def ask(self) -> None:
        """Ask now, or get in line."""
        if self.turns.free:
            self.turns.free -= 1
            super().ask()
        else:
            self.turns.line.append(self)

    def one_down(self) -> None:
        self.waiting -= 1
        if self.waiting:
            return
        self.turns.free += 1
        self.turns.line.append(self)
        if self.tally.stopping:
            self.tally.rest()
        else:
            self.turns.line.popleft().ask()


class Crowd:
    """Open sessions, and what they have seen."""

    def __init__(self, members: list[Member], tally: Tally) -> None:
        self.members = members
        self.tally = tally

    async def ask_for(self, seconds: float, server: psutil.Process) -> Sample:
        """Ask in turns for so long."""
        self._begin(min(CALLERS, len(self.members)))
        await undisturbed(self.tally, WARM_UP)
        self.tally.counting, before = True, Clocks.read(server)
        await undisturbed(self.tally, seconds)
        self.tally.counting, after = False, Clocks.read(server)
        await self._rest()
        return sample_of(self.tally.latencies, before, after)

    async def ask_at_once(self) -> list[float]:
        """The seconds each waits when all ask at the same time, sorted."""
        self._begin(len(self.members))
        self.tally.counting = True  # no answer has come yet: nothing was read meanwhile
        await self._rest()
        return sorted(self.tally.latencies)

    def _begin(self, at_once: int) -> None:
        self.tally.stopping, self.tally.counting = False, False
        self.tally.busy, self.tally.latencies = at_once, []
        self.tally.idle = asyncio.get_running_loop().create_future()
        turns = Turns(at_once)
        for member in self.members:
            member.turns = turns
            member.ask()

    async def _rest(self) -> None:
        self.tally.stopping = True
        await settled(self.tally, self.tally.idle)


@asynccontextmanager
async def crowd(port: int, size: int, path: str) -> AsyncGenerator[Crowd]:
    """So many open sessions inside the block; raises `WrongAnswerError` when one of them is refused."""
    tally, turns = Tally(size), Turns(1)
    members = [Member(path, tally, turns) for _ in range(size)]
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
