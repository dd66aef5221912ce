"""What grows with what: calls per second, CPU and memory against sessions, tools and workers. `make bench-scale`.

A real `pegboard serve` on one core, the load on the other, with nothing between; only workers share both with the load.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import psutil
import uvloop

from bench import wire
from bench.callers import Tally
from bench.crowd import Member, crowd, p99
from bench.light import WRK, Light, cpu_of, measure_lightly
from bench.load import WARM_UP, Sample, WrongAnswerError, measure, settled
from bench.measures import MEASURES, Measure
from bench.peers import PEERS, PEGBOARD
from bench.processes import StartError, core, free_port, listening, running
from bench.report import Target, summary
from bench.rounds import LOAD_CORE, SERVER_CORE

T = TypeVar("T")

MIB = 1024 * 1024
PEER = next(peer for peer in PEERS if peer.name == PEGBOARD)
SSE = f"{PEER.prefix}/sse"

LARGE_ANSWERS = {"PEGBOARD_RESULTS_BYTES": str(2 * MIB), "PEGBOARD_RESULTS_TOKENS": "1000000"}
"""What an operator says who wants answers of a MiB; without it they are cut to some KiB."""


OFTEN = 0.3
"""Calls per second of each session that asks now and then: 300 of 1 000 together."""

BASE = 16
"""Sessions that are open before any is measured: what the first ones cost stays."""

FLAT = 1.25
"""A hundred times as many may cost so many times as much: what two equal runs differ by on a busy machine."""

ROOM = {"PEGBOARD_SERVER_MAX_SESSIONS": "2000"}

HEAD = f"{'calls/s':>10}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>9}"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    sessions: tuple[int, ...] = (1, 10, 100, 1000)
    tools: tuple[int, ...] = (10, 100, 1000)
    workers: tuple[int, ...] = (1, 2)
    cycles: int = 5000
    answers: int = 260
    seconds: float = 3.0
    rounds: int = 3


QUICK = Size(sessions=(10, 20), tools=(10, 100), workers=(1,), cycles=120, answers=40, seconds=0.3, rounds=1)
"""Shows that everything runs; its numbers say nothing."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only show that it runs; the numbers say nothing")
    size = QUICK if parser.parse_args().quick else Size()
    try:
        aims = [*against_sessions(size), *against_tools(size)]
        against_workers(size)
        aims += [*with_clients_that_go(size), *with_a_slow_reader(size)]
    except (WrongAnswerError, StartError) as error:
        print(f"bench failed: {error}", file=sys.stderr)
        return 1
    if size is not QUICK:
        print("\n".join(["", "targets", *summary(aims)]))
    return 0


@dataclass(frozen=True, slots=True)
class Server:
    """A hub that is up, and what its process has."""

    port: int
    process: psutil.Process

    @property
    def kib(self) -> float:
        """Resident memory."""
        return self.process.memory_info().rss / 1024

    @property
    def descriptors(self) -> int:
        return self.process.num_fds()

    async def settled(self, descriptors: int) -> int:
        """How many descriptors are open, when it is so many again or five seconds are over."""
        deadline = monotonic() + 5
        while self.descriptors > descriptors and monotonic() < deadline:
            await asyncio.sleep(0.05)
        return self.descriptors


@contextmanager
def hub(*arguments: str, **environment: str) -> Generator[Server]:
    """A hub on a core of its own; the block runs on the other one."""
    with core(SERVER_CORE):
        starting = started(*arguments, **environment)
    with starting as server, core(LOAD_CORE):
        yield server


@contextmanager
def started(*arguments: str, **environment: str) -> Generator[Server]:
    """A hub on the cores this process has."""
    port = free_port()
    with running([*PEER.command(port), *arguments], listening(port), {**PEER.environment, **environment}) as process:
        yield Server(port, process)


def loaded(work: Coroutine[Any, Any, T]) -> T:
    """Run a load on a loop that is faster than what it measures."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def against_sessions(size: Size) -> Iterator[Target]:
    """Open sessions, of which 16 ask at a time, then each now and then, and then all of them at once."""
    say(f"{'SSE sessions':>14}{HEAD}{'KiB each':>10}{'now and then':>14}{'all at once':>13}   (p99, ms)")
    rows = {number: row(number, size.seconds) for number in size.sessions}
    most = max(rows)
    fewer = sorted(rows)[-2]
    last, growth = rows[most], rows[most].kib / rows[fewer].kib
    spent = last.sample.cpu / rows[fewer].sample.cpu
    linear = f"{growth:.2f}x each"
    yield Target(f"{most} sessions cost at most 150 KiB each", f"{last.kib:.0f} KiB", last.kib <= 150)
    yield Target(f"linear: memory of {most} against {fewer} sessions", linear, growth <= FLAT)
    yield Target(f"flat: a call in {most} against {fewer} sessions", f"{spent:.2f}x CPU", spent <= FLAT)
    yield Target(f"p99 in {most} sessions, now and then, < 500 ms", ms(last.paced), last.paced < 0.5)
    yield Target("no descriptor is left of them", str(last.left), last.left <= 0)


@dataclass(frozen=True, slots=True)
class Crowded:
    """What one size of crowd was like."""

    sample: Sample
    kib: float
    """Memory that each session took, open and initialized."""
    paced: float
    """The p99 when each asks now and then."""
    burst: float
    """The p99 when all ask at once."""
    left: int
    """Descriptors that stayed open after it."""


def row(sessions: int, seconds: float) -> Crowded:
    """Measure one size on a hub of its own, since memory that others have left would be taken again; print it."""
    with hub(**ROOM) as server:
        found = loaded(in_crowd(server, sessions, seconds))
    waits = f"{found.paced * 1e3:>14.1f}{found.burst * 1e3:>13.0f}"
    say(f"{sessions:>14}{columns(found.sample)}{found.kib:>10.0f}{waits}")
    return found


async def in_crowd(server: Server, sessions: int, seconds: float) -> Crowded:
    async with crowd(server.port, BASE, SSE) as base:
        await base.ask_at_once()
        kib, descriptors = server.kib, server.descriptors
        async with crowd(server.port, sessions, SSE) as members:
            each = (server.kib - kib) / sessions
            paced = await members.ask_now_and_then(OFTEN * sessions, seconds)
            sample = await members.ask_for(seconds, server.process)
            at_once = await members.ask_at_once()
        left = await server.settled(descriptors) - descriptors
    return Crowded(sample, each, p99(paced), p99(at_once), left)


def with_clients_that_go(size: Size) -> Iterator[Target]:
    """Clients that connect, call and leave."""
    with hub() as server:
        loaded(come_and_go(server, size.cycles // 10))
        before = server.kib
        loaded(come_and_go(server, size.cycles))
        grown = (server.kib - before) / 1024
    yield Target(f"{size.cycles} clients that come and go cost at most 10 MB", f"{grown:.1f} MB", grown <= 10)


async def come_and_go(server: Server, times: int) -> None:
    descriptors = server.descriptors
    for _ in range(0, times, 10):
        async with crowd(server.port, 10, SSE) as members:
            await members.ask_at_once()
    await server.settled(descriptors)


def with_a_slow_reader(size: Size) -> Iterator[Target]:
    """A client that asks for a MiB again and again and reads none of it."""
    with hub(**LARGE_ANSWERS) as server:
        loaded(in_silence(server, 1))
        before = server.kib
        refused, others = loaded(in_silence(server, size.answers))
        grown = (server.kib - before) / 1024
    say(f"\n{size.answers} x 1 MiB asked for, nothing read: {refused} refused; others wait {others * 1e3:.1f} ms")
    yield Target(f"a slow reader of {size.answers} MiB costs under 50 MB", f"{grown:.0f} MB", grown < 50)


async def in_silence(server: Server, answers: int) -> tuple[int, float]:
    """Ask for so many in one session and read nothing; how many were refused, and how long another client waits."""
    tally, loop = Tally(1), asyncio.get_running_loop()
    reader = Member(SSE, tally)
    await settled(tally, asyncio.ensure_future(reader.open(server.port)))
    reader.stream.transport.pause_reading()
    statuses: asyncio.Queue[int] = asyncio.Queue()

    def posted(status: int, _: bytes) -> None:
        statuses.put_nowait(status)

    reader.exchange.answered = posted
    large = wire.rpc("tools/call", {"name": "echo", "arguments": {"text": "x" * (MIB // 100), "times": 100}})
    refused = 0
    for number in range(answers):
        reader.exchange.transport.write(wire.post(reader.endpoint, {**large, "id": number}, {}))
        refused += await statuses.get() != 202
    began = loop.time()
    async with crowd(server.port, 1, SSE) as members:
        await members.ask_at_once()
    waited = loop.time() - began
    reader.close()
    return refused, waited


def against_tools(size: Size) -> Iterator[Target]:
    """The same calls in catalogues of different size, in turns, so that a busy machine hurts all alike."""
    say(f"\n{'tools':>14}{HEAD}{'against':>12}   (/mcp, then SSE)")
    with ExitStack() as hubs:
        servers = {tools: hubs.enter_context(hub(BENCH_TOOLS=str(tools))) for tools in size.tools}
        for kind in MEASURES[:2]:
            samples = in_turns(kind, servers, size)
            first = samples[min(samples)]
            for tools, sample in samples.items():
                say(f"{tools:>14}{columns(sample)}{sample.cpu / first.cpu:>11.2f}x")
            spent = samples[max(samples)].cpu / first.cpu
            promise = f"flat: {kind.name} among {max(samples)} against {min(samples)} tools"
            yield Target(promise, f"{spent:.2f}x CPU", spent <= FLAT)


def against_workers(size: Size) -> None:
    """The same calls with more processes, and the load on whatever core is free.

    A load that looks at every answer takes about as much as a worker does, so that with two cores the second worker has
    what the first and the load leave; wrk takes a tenth of that.
    """
    say(f"\n{'workers':>14}{'calls/s':>10}{'against':>9}{'CPU us':>9}{'cores':>7}   {_by_whom()}")
    with ExitStack() as hubs:
        servers = {number: hubs.enter_context(started("--workers", str(number))) for number in size.workers}
        samples = {number: _light(server, size) for number, server in servers.items()}
        first = samples[min(samples)]
        for workers, light in samples.items():
            rates = f"{light.rate:>10.0f}{light.rate / first.rate:>8.2f}x"
            say(f"{workers:>14}{rates}{light.cpu * 1e6:>9.0f}{light.cores:>7.2f}")


def _by_whom() -> str:
    return "(/mcp, the load by wrk)" if WRK else "(/mcp; install wrk for a load that leaves them the cores)"


def _light(server: Server, size: Size) -> Light:
    """The median of some rounds."""
    several: list[Light] = []
    for _ in range(size.rounds):
        if WRK:
            several.append(measure_lightly(f"{PEER.prefix}/mcp", server.port, server.process, size.seconds))
        else:
            before, seconds = cpu_of(server.process), size.seconds + WARM_UP
            sample = measure(MEASURES[0].callers(PEER), server.port, server.process, size.seconds)
            used = cpu_of(server.process) - before
            several.append(Light(sample.rate, used / (sample.rate * seconds), used / seconds))
    return sorted(several, key=lambda light: light.rate)[len(several) // 2]


def in_turns(
    kind: Measure, servers: Mapping[int, Server], size: Size, *, by: Callable[[Sample], float] = lambda one: one.cpu
) -> dict[int, Sample]:
    """The median sample of each server."""
    samples: dict[int, list[Sample]] = {number: [] for number in servers}
    for _ in range(size.rounds):
        for number, server in servers.items():
            samples[number].append(measure(kind.callers(PEER), server.port, server.process, size.seconds))
    return {number: sorted(several, key=by)[len(several) // 2] for number, several in samples.items()}


def columns(sample: Sample) -> str:
    return f"{sample.rate:>10.0f}{sample.p50 * 1e3:>9.2f}{sample.p99 * 1e3:>9.2f}{sample.cpu * 1e6:>9.0f}"


def ms(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms"


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
