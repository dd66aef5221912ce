"""Between the hub and its backends: one call pays for what breaks, at once, and the next one is answered."""

import signal
import socket
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import psutil
import pytest
from tests.system.faults.bench import ERAS, Bench, Scene, scene, session, working
from tests.system.faults.proxy import Fault, FaultProxy, proxying
from tests.system.faults.upstream import upstream
from tests.system.installed import Installed
from tests.system.wire import Era, Json, Peer, call, connected

from pegboard_postgres.embedded import Embedded, embedded
from pegboard_postgres.embedded import connected as connected_to

SOON = 1.5
"""What a second becomes on a machine with other work."""

QUICK = {"calls": {"deadline": 5}, "pools": {"pause": 0.3, "failures": 5}}
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()"

ENDED = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()"
"""What the server itself would find out only when it writes to the client."""


@dataclass(slots=True)
class Rig:
    """A hub with a database behind a proxy."""

    bench: Bench
    database: Embedded
    proxy: FaultProxy
    admin: Any

    async def running(self, mark: str, count: int, within: float) -> None:
        """Wait until so many queries with a mark run; the server tells nobody, so it has to be asked."""
        with anyio.fail_after(within):
            while await self.admin.fetchval(RUNNING, f"%{mark}%") != count:
                await anyio.sleep(0.02)


@pytest.fixture
async def rig(server_folder: Path, probe: Installed, tmp_path: Path) -> AsyncGenerator[Rig]:
    async with (
        embedded(server_folder, port=free_port(), options={"fsync": "off"}) as database,
        proxying(urlsplit(database.dsn).port or 0) as proxy,
        connected_to(database.admin_dsn) as admin,
    ):
        dsn = database.dsn.replace(f":{urlsplit(database.dsn).port}/", f":{proxy.port}/")
        settings = {**QUICK, "plugins": {"postgres": {"dsn": dsn, "max_connections": 2, "connect_timeout": 1}}}
        with working(tmp_path, probe, settings=settings) as bench:
            yield Rig(bench, database, proxy, admin)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def query(peer: Peer, sql: str, deadline: float = 5) -> Json:
    params = {"name": "postgres_query", "arguments": {"sql": sql}, "_meta": {"pegboard/deadline": deadline}}
    return (await peer.request("tools/call", params))["result"]


async def works(peer: Peer) -> None:
    answer = await query(peer, "SELECT 2 AS two")
    assert not answer.get("isError"), answer


@asynccontextmanager
async def asked(rig: Rig) -> AsyncGenerator[Scene]:
    """A scene whose pool has all the connections it may have, which stay."""
    await rig.bench.warm()
    async with connected("modern", rig.bench.hub.url) as peer, anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(query, peer, "SELECT pg_sleep(0.2)")
    async with scene(rig.bench) as here:
        yield here


async def test_a_connection_that_breaks_in_a_query_costs_that_call_at_most(rig: Rig) -> None:
    """F-02: a query that only reads is asked once more; when that breaks too it is an error, at once."""
    async with asked(rig) as here:
        failed: list[tuple[float, Json]] = []

        async def ask() -> None:
            answer = await query(here.watcher, "SELECT pg_sleep(4) AS broken_off")
            failed.append((time.monotonic(), answer))

        broken = 0.0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            for _ in range(2):
                await rig.running("broken_off", 1, 3)
                rig.proxy.reset()
                broken = time.monotonic()
                await rig.admin.fetchval(ENDED, "%broken_off%")
        ((answered, answer),) = failed
        assert answer["isError"], answer
        assert answered - broken < SOON
        await works(here.watcher)


async def test_a_slow_database_is_not_waited_for(rig: Rig) -> None:
    """F-03: five seconds late, a deadline of one; then no query runs, and no place in the pool is lost."""
    async with asked(rig) as here:
        for era in ERAS:
            async with session(here.history, era, rig.bench.hub.url, era) as peer:
                rig.proxy.harm(Fault(delay=5))
                began = time.monotonic()
                answer = await query(peer, "SELECT 1 AS slow", deadline=1)
                assert answer["isError"], answer
                assert time.monotonic() - began < 1 + SOON
                rig.proxy.reset()
                rig.proxy.heal()
        await rig.running("slow", 0, SOON)
        await works(here.watcher)


async def test_a_frozen_database_is_let_go(rig: Rig) -> None:
    """F-04: nothing comes back, neither an answer nor an end; each wait has its own, and leaving does, too."""
    async with asked(rig) as here:
        rig.proxy.harm(Fault(silent=True))
        began, answers = time.monotonic(), list[Json]()

        async def ask() -> None:
            answers.append(await query(here.watcher, "SELECT 1", deadline=1))

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(ask)
        assert [answer["isError"] for answer in answers] == [True] * 4
        assert time.monotonic() - began < 1 + 1 + SOON  # the deadline, and a second to give back
        rig.proxy.reset()
        rig.proxy.heal()
        await recovers(here.watcher)


async def test_a_stopped_database_is_let_go_and_a_hub_leaves_without_it(rig: Rig) -> None:
    """F-04: SIGSTOP for the server and all its processes; the hub ends although nobody says goodbye."""
    async with asked(rig) as here:
        with frozen(rig.database.pid):
            began = time.monotonic()
            answer = await query(here.watcher, "SELECT 1", deadline=1)
            assert answer["isError"]
            assert time.monotonic() - began < 1 + 1 + SOON
        await recovers(here.watcher)
    with frozen(rig.database.pid):
        began = time.monotonic()
        rig.bench.hub.signal(signal.SIGTERM)
        assert await rig.bench.hub.ended() == 0
        assert time.monotonic() - began < 2 + SOON


@contextmanager
def frozen(pid: int) -> Generator[None]:
    """Stop a process and its children; leaving lets them go on."""
    server = psutil.Process(pid)
    stopped = [server, *server.children(recursive=True)]
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            if process.is_running():
                process.resume()


async def recovers(peer: Peer, within: float = 10) -> None:
    """Wait until a query is answered: the breaker may have to let one through first."""
    with anyio.fail_after(within):
        while (await query(peer, "SELECT 2 AS two")).get("isError"):
            await anyio.sleep(0.1)


@asynccontextmanager
async def with_upstream(probe: Installed, folder: Path) -> AsyncGenerator[tuple[Bench, FaultProxy]]:
    """A hub whose plugin `ledger` asks an upstream behind a proxy."""
    async with upstream(folder / "ledger.txt") as port, proxying(port) as proxy:
        settings = {**QUICK, "plugins": {"ledger": {"upstream": proxy.url}}}
        with working(folder, probe, settings=settings) as bench:
            async with connected("modern", bench.hub.url) as peer:
                await call(peer, "ledger_fetch", {"tag": "first"})  # the connection stays
            yield bench, proxy


@pytest.mark.parametrize("era", ERAS)
async def test_a_lost_answer_to_a_write_is_not_asked_for_again(probe: Installed, tmp_path: Path, era: Era) -> None:
    """F-33: the upstream has carried it out, and does so once; what only reads may be asked again."""
    async with with_upstream(probe, tmp_path) as (bench, proxy), scene(bench) as here:
        async with session(here.history, era, bench.hub.url, era) as peer:
            assert (await here.history.call(peer, era, "fetch")).end == "ok"
            proxy.harm(Fault(cut_after=1), "down")
            lost = await here.history.call(peer, era, "post")
            assert lost.end == "error"
            assert bench.carried_out.count(lost.tag) == 1
            again = [await here.history.call(peer, era, "post") for _ in range(3)]
            assert [entry.end for entry in again] == ["ok"] * 3
            proxy.harm(Fault(cut_after=1), "down")
            assert (await here.history.call(peer, era, "fetch")).end in ("ok", "error")
        proxy.reset()


async def test_an_upstream_that_is_away_is_told_at_once_and_found_again(probe: Installed, tmp_path: Path) -> None:
    """F-32, F-01: many ask while it is away, nobody waits long, and all goes on when it is back."""
    async with with_upstream(probe, tmp_path) as (bench, proxy), scene(bench) as here:
        ask = partial(here.history.call, here.watcher, "watcher", "post")
        assert (await ask()).end == "ok"
        proxy.down()
        began = time.monotonic()
        assert {(await ask()).end for _ in range(20)} == {"error"}
        assert time.monotonic() - began < 2 + SOON
        assert "is not asked now" in (await ask()).text
        assert (await here.history.call(here.watcher, "watcher", "write")).end == "ok"
        proxy.heal()
        with anyio.fail_after(10):
            while (await ask()).end != "ok":
                await anyio.sleep(0.1)
        proxy.reset()
