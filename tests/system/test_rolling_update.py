"""A rolling update: three replicas behind real load balancers, each replaced while clients of every era write."""

import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import psutil
import pytest
from tests.certificates import Pair, make_pair
from tests.system.balancers import Balancer, Name, balancer, trusting
from tests.system.faults.bench import holds, install_ledger
from tests.system.faults.history import Entry, History, lines_of, records_of
from tests.system.fleet import NUMBERS, Fleet, fleet_of
from tests.system.installed import Installed
from tests.system.wire import ACCEPT, LEGACY, Era, Peer, Streamable, hello, sse

EACH = 3
"""Clients of each era behind each load balancer."""

SECONDS = 0.4
"""How long a call takes, so that some are always in flight."""

QUIET = 0.7
"""For how long a replica that was left out is let alone: what is on its way to it arrives."""

DELAY = 2.5
"""For how long one that nobody leaves out goes on: it is asked each second, and has to be unready twice for HAProxy."""

LEDGER = "ledger.txt"
"""What was carried out by any of the three."""

TOLD: Sequence[Name] = ("haproxy", "nginx")
WATCHING: Sequence[Name] = ("haproxy", "caddy", "envoy")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def fleet(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    settings = {
        "server": {"stateless": True},
        "log": {"calls": False},
        "plugins": {"ledger": {"ledger": str(folder / LEDGER), "writes": "allow"}},
    }
    with fleet_of(folder, probe, install_ledger(folder), settings=settings) as made:
        yield made


@pytest.fixture
def history(fleet: Fleet) -> History:
    return History(fleet.folder / LEDGER, *fleet.audits)


@contextmanager
def before(fleet: Fleet, names: Sequence[Name], pair: Pair, folder: Path) -> Generator[list[Balancer]]:
    """Load balancers that run, all of them before the same hubs."""
    with ExitStack() as stack:
        made: list[Balancer] = []
        for name in names:
            (folder / name).mkdir()
            made.append(balancer(name, folder / name, pair, fleet.ports))
            stack.enter_context(made[-1].running(pair))
        yield made


@pytest.fixture(scope="module")
def watching(fleet: Fleet, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Balancer]]:
    """Those that ask the hubs whether they are ready, so that nobody has to tell them anything."""
    fleet.have(drain_delay=DELAY)
    with before(fleet, WATCHING, pair, tmp_path_factory.mktemp("watching")) as made:
        yield made


@dataclass(slots=True)
class Caller:
    """One client. What became of its calls stands in the history under its name."""

    name: str
    path: str
    http: httpx.AsyncClient
    history: History
    over: anyio.Event
    moves: int = 0
    turned_away: int = 0

    async def call(self, peer: Peer) -> Entry:
        return await self.history.call(peer, self.name, "write", seconds=SECONDS)

    @property
    def entries(self) -> list[Entry]:
        return [entry for entry in self.history.entries if entry.session == self.name]

    @property
    def failed(self) -> int:
        """How often it did not get what it wanted: an answer, or a session."""
        return self.turned_away + sum(entry.end != "ok" for entry in self.entries)

    def __str__(self) -> str:
        ends = [f"{entry.tag}: {entry.end}: {entry.text[:200]}" for entry in self.entries if entry.end != "ok"]
        return f"{self.name}: {len(self.entries)} calls, {self.moves} moves, {self.turned_away} turned away, {ends}"


async def over_sse(caller: Caller) -> None:
    """Connects again when its stream ends, as clients do."""
    while not caller.over.is_set():
        try:
            async with sse(caller.http, caller.path) as session:
                while not (caller.over.is_set() or session.closed.is_set()):
                    if (await caller.call(session)).end != "ok":
                        await session.closed.wait()
                caller.history.left(session, caller.name)
                caller.moves += session.closed.is_set()
        except* (AssertionError, httpx.TransportError):  # could not connect: tries again
            caller.turned_away += 1
            await anyio.sleep(0.1)


async def over_legacy(caller: Caller) -> None:
    """2025-11-25 without a session: says hello once."""
    peer = Streamable(caller.http, f"{caller.path}/mcp", {**ACCEPT, "MCP-Protocol-Version": LEGACY})
    await peer.request("initialize", hello())
    await keep_calling(caller, peer)


async def over_modern(caller: Caller) -> None:
    await keep_calling(caller, Streamable(caller.http, f"{caller.path}/mcp", {}))


async def keep_calling(caller: Caller, peer: Peer) -> None:
    while not caller.over.is_set():
        await caller.call(peer)


CLIENTS: Mapping[Era, Callable[[Caller], Coroutine[Any, Any, None]]] = {
    "sse": over_sse,
    "legacy": over_legacy,
    "modern": over_modern,
}


@asynccontextmanager
async def load(history: History, balancers: Sequence[Balancer], pair: Pair) -> AsyncGenerator[list[Caller]]:
    """Clients of every era behind each load balancer, at two endpoints, until the block ends; all have called once."""
    over, callers = anyio.Event(), list[Caller]()
    async with AsyncExitStack() as stack:
        https = {made.name: await stack.enter_async_context(through(made, pair)) for made in balancers}
        async with anyio.create_task_group() as tasks:
            for name, http in https.items():
                for era, client in CLIENTS.items():
                    for number in range(EACH):
                        path = ("", "/ledger")[number % 2]
                        callers.append(Caller(f"{name}-{era}-{number}", path, http, history, over))
                        tasks.start_soon(client, callers[-1])
            while not all(caller.entries and caller.entries[0].ends for caller in callers):
                await anyio.sleep(0.05)
            yield callers
            over.set()


@asynccontextmanager
async def through(made: Balancer, pair: Pair) -> AsyncGenerator[httpx.AsyncClient]:
    """nginx hangs up idle connections when it reloads, and what is sent at that moment is gone: a new one each time."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0 if made.name == "nginx" else 50)
    context = trusting(pair)
    async with httpx.AsyncClient(base_url=made.url, verify=context, trust_env=False, timeout=20, limits=limits) as http:
        yield http


async def replace(fleet: Fleet, number: int) -> None:
    """Stop one, which answers everything first, and start the next."""
    hub = fleet.hubs[number]
    hub.signal(signal.SIGTERM)
    assert await hub.ended() == 0
    wrong = [line for line in hub.log.wait_for_end().splitlines() if "did not finish" in line or "Traceback" in line]
    assert not wrong, "\n".join(line[-4000:] for line in wrong)
    await anyio.to_thread.run_sync(partial(fleet.start, number, drain_delay=DELAY))


async def taken_in(fleet: Fleet, number: int, callers: Sequence[Caller]) -> None:
    """Wait until every load balancer sends somebody to this one; the idlest is asked first."""
    for http in {id(caller.http): caller.http for caller in callers}.values():
        while (await http.get("/health")).json()["pid"] != fleet.hubs[number].pid:
            await anyio.sleep(0.05)


def broken(callers: Sequence[Caller]) -> list[str]:
    """What did not happen as it should: no failed call over `/mcp`, at most one for each time an SSE session moved."""
    return [
        str(caller)
        for caller in callers
        if caller.failed > caller.moves or len(caller.entries) < 5 or not (caller.moves or "-sse-" not in caller.name)
    ]


def carried_out(fleet: Fleet) -> list[str]:
    return lines_of(fleet.folder / LEDGER)


def without_record(fleet: Fleet) -> set[str]:
    """The calls that were carried out and do not stand in an audit log."""
    written = {record["arguments"]["tag"] for record in records_of(*fleet.audits) if "arguments" in record}
    return set(carried_out(fleet)) - written


def lost(fleet: Fleet, history: History) -> list[str]:
    """Calls that were in flight in a hub and of which the client does not know that they were carried out."""
    done = set(carried_out(fleet))
    return [f"{entry.tag}: {entry.text[:200]}" for entry in history.ended("error", "lost") if entry.tag in done]


async def test_three_replicas_are_replaced_by_an_operator(
    fleet: Fleet, pair: Pair, history: History, tmp_path: Path
) -> None:
    """F-25, F-26: told to leave one out, HAProxy and nginx lose no call over `/mcp`, and one for each SSE session."""
    fleet.have(drain_delay=0)
    with before(fleet, TOLD, pair, tmp_path) as balancers, anyio.fail_after(90):
        async with load(history, balancers, pair) as callers:
            for number in NUMBERS:
                for made in balancers:
                    made.leave_out(number)
                await anyio.sleep(QUIET)
                await replace(fleet, number)
                for made in balancers:
                    made.take_in(number)
                await taken_in(fleet, number, callers)
    assert broken(callers) == []
    assert lost(fleet, history) == []
    await holds(history)


async def test_three_replicas_are_replaced_and_nobody_is_told(
    fleet: Fleet, watching: list[Balancer], pair: Pair, history: History
) -> None:
    """F-25, F-26: health checks see in time what leaves, since it goes on until they have."""
    fleet.have(drain_delay=DELAY)
    with anyio.fail_after(90):
        async with load(history, watching, pair) as callers:
            for number in NUMBERS:
                await replace(fleet, number)
                await taken_in(fleet, number, callers)
    assert broken(callers) == []
    assert lost(fleet, history) == []
    await holds(history)


async def test_a_replica_that_is_killed_costs_each_client_one_call(
    fleet: Fleet, watching: list[Balancer], pair: Pair, history: History
) -> None:
    """F-24, F-26: the others take over at once, and it is back in three seconds of its own work."""
    fleet.have(drain_delay=DELAY)
    hub = fleet.hubs[2]
    with anyio.fail_after(60):
        async with load(history, watching, pair) as callers:
            hub.signal(signal.SIGKILL)
            assert await hub.ended() == -signal.SIGKILL
            unwritten = without_record(fleet)  # at the other two they are still in flight
            await anyio.to_thread.run_sync(partial(fleet.start, 2, drain_delay=DELAY))
            await taken_in(fleet, 2, callers)
            worked = psutil.Process(fleet.hubs[2].pid).cpu_times()
    assert worked.user + worked.system < 3
    assert [str(caller) for caller in callers if caller.failed > 1] == []
    assert any(caller.failed for caller in callers), "nobody was there"
    await holds(history, unwritten=unwritten)
    assert len(without_record(fleet)) <= len(callers)
