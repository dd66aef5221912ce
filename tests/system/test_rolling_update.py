"""A rolling update: three replicas behind a real load balancer, each replaced while clients of every era call."""

import json
import signal
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
from tests.certificates import Pair, make_pair
from tests.system.balancers import Balancer, Name, balancer, free_port, trusting
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.wire import ACCEPT, LEGACY, Json, SseSession, Streamable, hello, rpc, sse

EACH = 6
"""Clients of each era."""

SECONDS = 0.3
"""How long a call takes, so that some are always in flight."""

QUIET = 0.7
"""What a replica is left alone before it is stopped; requests on their way arrive, health checks see it come back."""


@dataclass(slots=True)
class Record:
    """What happened to the calls of one client."""

    done: list[str] = field(default_factory=list[str])
    failed: list[str] = field(default_factory=list[str])
    moves: int = 0


class Fleet:
    """Three hubs at ports that stay."""

    def __init__(self, probe: Installed, folder: Path) -> None:
        self.ports = [free_port() for _ in range(3)]
        self._probe = probe
        self._folder = folder
        self._stacks = [ExitStack() for _ in self.ports]
        self.hubs: dict[int, HubProcess] = {}

    def start(self, number: int) -> None:
        """Start one; it is ready when this returns."""
        server = {"replica": f"hub-{number}", "port": self.ports[number - 1], "stateless": True}
        folder = self._folder / f"hub-{number}"
        folder.mkdir(exist_ok=True)
        settings = {"server": server, "audit": {"file": "audit.jsonl"}}
        started = serving(folder, self._probe, settings=settings)
        self.hubs[number] = self._stacks[number - 1].enter_context(started)

    def executed(self) -> list[str]:
        """The calls the hubs have written down, those before the update too."""
        files = [self._folder / f"hub-{number}" / "audit.jsonl" for number in (1, 2, 3)]
        records = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [record["arguments"]["tag"] for record in records if record["event"] == "call"]

    def close(self) -> None:
        for stack in self._stacks:
            stack.close()


@pytest.fixture(params=["haproxy", "nginx"])
def before(request: pytest.FixtureRequest, probe: Installed, tmp_path: Path) -> Iterator[tuple[Balancer, Fleet, Pair]]:
    name: Name = request.param
    pair = make_pair(tmp_path)
    with ExitStack() as stack:
        fleet = Fleet(probe, tmp_path)
        stack.callback(fleet.close)
        for number in (1, 2, 3):
            fleet.start(number)
        made = balancer(name, tmp_path, pair, fleet.ports)
        stack.enter_context(made.running(pair))
        yield made, fleet, pair


async def test_three_replicas_are_replaced_under_load(before: tuple[Balancer, Fleet, Pair]) -> None:
    """F-25, F-26: no call over `/mcp` fails, one at most for each move of an SSE session, none in flight is lost."""
    made, fleet, pair = before
    records: dict[str, list[Record]] = {era: [Record() for _ in range(EACH)] for era in ("sse", "legacy", "modern")}
    over = anyio.Event()
    old = {number: hub.pid for number, hub in fleet.hubs.items()}
    with anyio.fail_after(60):
        async with through(made, pair) as http, anyio.create_task_group() as tasks:
            for era, run in CLIENTS.items():
                for record in records[era]:
                    tasks.start_soon(run, http, record, over)
            await anyio.sleep(QUIET)
            for number in (1, 2, 3):
                await replace(made, fleet, number)
            over.set()

    assert all(fleet.hubs[number].pid != old[number] for number in old)
    for record in (*records["legacy"], *records["modern"]):
        assert record.failed == []
        assert len(record.done) > 5
    for record in records["sse"]:
        assert len(record.failed) <= record.moves, record
        assert len(record.done) > 5
    assert sum(record.moves for record in records["sse"]) >= EACH, "nobody had to move"
    for hub in fleet.hubs.values():
        hub.signal(signal.SIGTERM)
        assert await hub.ended() == 0
    answered = [tag for one in records.values() for record in one for tag in record.done]
    assert sorted(fleet.executed()) == sorted(answered), "a call was lost in flight, or run twice"


async def replace(made: Balancer, fleet: Fleet, number: int) -> None:
    """What an operator does: leave it out, stop it, start the new one, take it in."""
    hub = fleet.hubs[number]
    made.leave_out(number)
    await anyio.sleep(QUIET)
    hub.signal(signal.SIGTERM)
    assert await hub.ended() == 0
    log = hub.log.wait_for_end()
    assert "did not finish" not in log
    assert "Traceback" not in log
    await anyio.to_thread.run_sync(fleet.start, number)
    made.take_in(number)
    await anyio.sleep(QUIET)


async def sse_client(http: httpx.AsyncClient, record: Record, over: anyio.Event) -> None:
    """Connects again when its stream ends, as clients do."""
    while not over.is_set():
        try:
            async with sse(http) as session:
                while not (over.is_set() or session.closed.is_set()):
                    await one_over_sse(session, record)
                record.moves += session.closed.is_set()
        except* (AssertionError, httpx.TransportError) as error:  # could not connect: tries again
            record.failed.append(repr(error))
            await anyio.sleep(0.1)


async def one_over_sse(session: SseSession, record: Record) -> None:
    number = next(NUMBERS)
    asked = rpc("tools/call", waiting(number), number)
    try:
        response = await session.post(asked)
    except httpx.TransportError as error:
        record.failed.append(repr(error))
        await session.closed.wait()
        return
    if response.status_code != 202:
        record.failed.append(f"{response.status_code} {response.text}")
        await session.closed.wait()
        return
    try:
        note(record, number, await session.answer(number))
    except AssertionError as error:
        record.failed.append(str(error))


async def legacy_client(http: httpx.AsyncClient, record: Record, over: anyio.Event) -> None:
    """2025-11-25 without a session: says hello once."""
    peer = Streamable(http, "/mcp", {**ACCEPT, "MCP-Protocol-Version": LEGACY})
    await peer.request("initialize", hello())
    await keep_calling(peer, record, over)


async def modern_client(http: httpx.AsyncClient, record: Record, over: anyio.Event) -> None:
    await keep_calling(Streamable(http, "/mcp", {}), record, over)


async def keep_calling(peer: Streamable, record: Record, over: anyio.Event) -> None:
    while not over.is_set():
        number = next(NUMBERS)
        try:
            note(record, number, await peer.request("tools/call", waiting(number), request_id=number))
        except (AssertionError, ValueError, httpx.TransportError) as error:
            record.failed.append(repr(error))


CLIENTS: dict[str, Callable[[httpx.AsyncClient, Record, anyio.Event], Coroutine[Any, Any, None]]] = {
    "sse": sse_client,
    "legacy": legacy_client,
    "modern": modern_client,
}
NUMBERS = count(1000)


def waiting(number: int) -> Json:
    """A call that takes a while, of its own."""
    return {"name": "probe_wait", "arguments": {"tag": str(number), "seconds": SECONDS}}


def note(record: Record, number: int, answer: Json) -> None:
    """Done, if this is the answer to the question."""
    if answer.get("result", {}).get("content", [{}])[0].get("text") == str(number):
        record.done.append(str(number))
    else:
        record.failed.append(str(answer))


@asynccontextmanager
async def through(made: Balancer, pair: Pair) -> AsyncGenerator[httpx.AsyncClient]:
    """nginx hangs up idle connections when it reloads, and what is sent at that moment is gone: a new one each time."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0 if made.name == "nginx" else 50)
    context = trusting(pair)
    async with httpx.AsyncClient(base_url=made.url, verify=context, trust_env=False, timeout=20, limits=limits) as http:
        yield http
