"""Load: a number of callers for some seconds against one server, and what came of it."""

import asyncio
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

import psutil
import uvloop

from bench.callers import MakeCaller, Tally

CALLERS = 16
WARM_UP = 0.5
PATIENCE = 10.0
"""Seconds the slowest answer may take before the run has failed."""


class WrongAnswerError(Exception):
    """A server answered wrongly, or not at all; its speed means nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one server."""

    rate: float
    """Right answers per second."""
    p50: float
    p99: float
    """Seconds."""
    cpu: float
    """Seconds of the server's own CPU time per answer; unlike the rate it stays true on a busy machine."""
    share: float
    """How much of a core the server got, near 1 unless something else wanted that core too."""
    generator: float
    """How busy the load generator was, from 0 to 1; near 1 the server could have done more."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Wall time, the server's CPU time and our own, all in seconds."""

    wall: float
    server: float
    generator: float

    @classmethod
    def read(cls, server: psutil.Process) -> "Clocks":
        times = server.cpu_times()
        return cls(perf_counter(), times.user + times.system, process_time())


def measure(make: MakeCaller, port: int, server: psutil.Process, seconds: float) -> Sample:
    """Put load on a server; raises `WrongAnswerError` at the first answer that is not right."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure(make, port, server, seconds))


async def _measure(make: MakeCaller, port: int, server: psutil.Process, seconds: float) -> Sample:
    tally = Tally(CALLERS)
    callers = [make(tally) for _ in range(CALLERS)]
    await settled(tally, asyncio.gather(*(caller.open(port) for caller in callers)))
    for caller in callers:
        caller.ask()
    await undisturbed(tally, WARM_UP)
    tally.counting, before = True, Clocks.read(server)
    await undisturbed(tally, seconds)
    tally.counting, after = False, Clocks.read(server)
    tally.stopping = True
    await settled(tally, tally.idle)
    for caller in callers:
        caller.close()
    return sample_of(tally.latencies, before, after)


async def undisturbed(tally: Tally, seconds: float) -> None:
    """Let the callers run for so long; raises as soon as one of them fails."""
    await asyncio.wait({tally.failure}, timeout=seconds)
    if tally.failure.done():
        raise WrongAnswerError(tally.failure.result())


async def settled(tally: Tally, future: asyncio.Future[Any]) -> None:
    """Wait for what all callers have to reach; raises when one fails or they take too long."""
    await asyncio.wait({tally.failure, future}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    if tally.failure.done():
        raise WrongAnswerError(tally.failure.result())
    if not future.done():
        raise WrongAnswerError(f"no answer within {PATIENCE:g} s")
    future.result()


def sample_of(latencies: list[float], before: Clocks, after: Clocks) -> Sample:
    if not latencies:
        raise WrongAnswerError("no answer at all")
    latencies.sort()
    count = len(latencies)
    wall, server = after.wall - before.wall, after.server - before.server
    return Sample(
        rate=count / wall,
        p50=latencies[count // 2],
        p99=latencies[count * 99 // 100],
        cpu=server / count,
        share=server / wall,
        generator=(after.generator - before.generator) / wall,
    )
