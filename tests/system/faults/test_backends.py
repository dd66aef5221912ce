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
from tests.conftest import UNSAFE, open_folder
from tests.system.faults.bench import ERAS, Bench, Scene, scene, session, working
from tests.system.faults.proxy import Fault, FaultProxy, proxying
from tests.system.faults.upstream import upstream
from tests.system.installed import Installed
from tests.system.wire import Era, Json, Peer, call, connected, inside

from pegboard.settings import HubSettings
from pegboard_postgres.embedded import Embedded, embedded
from pegboard_postgres.embedded import connected as connected_to

SOON = 1.5
"""What a second becomes on a machine with other work."""

QUICK = {"calls": {"deadline": 5}, "pools": {"pause": 0.3, "failures": 5}, "results": {"idle": 1}}
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE $1 AND pid <> pg_backend_pid()"
BEGUN = RUNNING.replace("count(*)", "pid")

ENDED = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()"
"""What the server itself would find out only when it writes to the client."""


@dataclass(slots=True)
class Rig:
    """A hub with a database behind a proxy."""

    bench: Bench
    database: Embedded
    proxy: FaultProxy
    admin: Any

    async def begun(self, mark: str, before: set[int], within: float) -> set[int]:
        """Wait for queries with a mark that were not seen `before`, and return their processes: one that is broken off
        may be there for a moment."""
        with anyio.fail_after(within):
            while not (found := {one["pid"] for one in await self.admin.fetch(BEGUN, f"%{mark}%")} - before):
                await anyio.sleep(0.02)
        return found

    async def running(self, mark: str, count: int, within: float) -> None:
        """Wait until so many queries with a mark run; the server tells nobody, so it has to be asked."""
        with anyio.fail_after(within):
            while await self.admin.fetchval(RUNNING, f"%{mark}%") != count:
                await anyio.sleep(0.02)


@pytest.fixture(scope="module")
async def rig(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Rig]:
    """For tests that leave the database alive and the hub as it was."""
    with open_folder() as folder:
        async with (
            embedded(folder, port=free_port(), options=UNSAFE) as database,
            proxying(urlsplit(database.dsn).port or 0) as proxy,
            connected_to(database.admin_dsn) as admin,
        ):
            dsn = database.dsn.replace(f":{urlsplit(database.dsn).port}/", f":{proxy.port}/")
            with working(tmp_path_factory.mktemp("rig"), probe, settings=with_database(dsn)) as bench:
                yield Rig(bench, database, proxy, admin)


def with_database(dsn: str) -> Json:
    return {**QUICK, "plugins": {"postgres": {"dsn": dsn, "max_connections": 2, "connect_timeout": 1}}}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def query(peer: Peer, sql: str, deadline: float = 5) -> Json:
    params = {"name": "postgres_query", "arguments": {"sql": sql}, "_meta": {"pegboard/deadline": deadline}}
    return (await peer.request("tools/call", params))["result"]


def told_by(answer: Json) -> str:
    return answer["content"][0]["text"]


async def works(peer: Peer) -> None:
    answer = await query(peer, "SELECT 2 AS two")
    assert not answer.get("isError"), answer


@asynccontextmanager
async def asked(bench: Bench) -> AsyncGenerator[Scene]:
    """A scene whose pool has all the connections it may have, which stay."""
    await bench.warm()
    async with connected("modern", bench.hub.url) as peer, anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(query, peer, "SELECT pg_sleep(0.2)")
    async with scene(bench) as here:
        yield here


async def test_a_connection_that_breaks_in_a_query_costs_that_call_at_most(rig: Rig) -> None:
    """F-02: a query that only reads is asked once more; when that breaks too it is an error, at once."""
    async with asked(rig.bench) as here:
        failed: list[tuple[float, Json]] = []

        async def ask() -> None:
            answer = await query(here.watcher, "SELECT pg_sleep(4) AS broken_off")
            failed.append((time.monotonic(), answer))

        broken, seen = 0.0, set[int]()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            for _ in range(2):
                seen |= await rig.begun("broken_off", seen, 3)
                rig.proxy.reset()
                broken = time.monotonic()
                await rig.admin.fetchval(ENDED, "%broken_off%")
        ((answered, answer),) = failed
        assert answer["isError"], answer
        assert answered - broken < SOON
        await works(here.watcher)


async def test_a_slow_database_is_not_waited_for(rig: Rig) -> None:
    """F-03: five seconds late, a deadline of one; then no query runs, and no place in the pool is lost."""
    async with asked(rig.bench) as here:
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
    """F-04: in a query and before one nothing comes back, not even an end; each wait has its own, and leaving, too."""
    async with asked(rig.bench) as here:
        began, answers = 0.0, list[Json]()

        async def ask(sql: str, deadline: float) -> None:
            answers.append(await query(here.watcher, sql, deadline))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "SELECT pg_sleep(30) AS frozen", 2)
            await rig.running("frozen", 1, 2)
            rig.proxy.harm(Fault(silent=True))
            began = time.monotonic()
            for _ in range(4):
                tasks.start_soon(ask, "SELECT 1", 1)
        assert [answer["isError"] for answer in answers] == [True] * 5
        assert time.monotonic() - began < 2 + 1 + SOON  # the longer deadline, and a second to give back
        rig.proxy.reset()
        rig.proxy.heal()
        await rig.admin.fetchval(ENDED, "%frozen%")
        await recovers(here.watcher)


async def test_a_stopped_database_is_let_go(rig: Rig) -> None:
    """F-04: SIGSTOP for the server and all its processes."""
    async with asked(rig.bench) as here:
        with frozen(rig.database.pid):
            began = time.monotonic()
            answer = await query(here.watcher, "SELECT 1", deadline=1)
            assert answer["isError"]
            assert time.monotonic() - began < 1 + 1 + SOON
        await recovers(here.watcher)


async def test_more_callers_than_connections_wait_two_seconds(rig: Rig) -> None:
    """F-05: twice as many in every era; those who come too late are told so, and nobody waits for anybody else."""
    async with asked(rig.bench) as here:
        answers: list[tuple[float, Json]] = []

        async def ask(era: Era) -> None:
            async with session(here.history, era, rig.bench.hub.url, era) as peer:
                began = time.monotonic()
                answer = await query(peer, "SELECT pg_sleep(3.5) AS crowded")
                answers.append((time.monotonic() - began, answer))

        async with anyio.create_task_group() as tasks:
            for era in (*ERAS, "modern"):
                tasks.start_soon(ask, era)
        refused = [(seconds, told_by(answer)) for seconds, answer in answers if answer.get("isError")]
        assert len(answers) == len(ERAS) + 1
        assert len(refused) == 2, refused
        assert all("all 2 connections" in text and "are busy" in text for _, text in refused), refused
        assert all(2 <= seconds < 2 + SOON for seconds, _ in refused), refused
        await works(here.watcher)


async def test_a_hundred_megabytes_of_rows_are_cut_before_they_are_in_memory(rig: Rig) -> None:
    """F-19: what comes is as large as an answer may be, with a way to the rest, and the memory hardly notices."""
    most, mib = HubSettings().results.bytes, 1024 * 1024
    async with asked(rig.bench) as here:
        watcher = here.watcher
        for era in ERAS:
            async with connected(era, rig.bench.hub.url) as peer:
                before = (await inside(watcher))["memory"]
                Path(f"/proc/{rig.bench.hub.pid}/clear_refs").write_text("5")  # forget the peak so far
                answer = await query(peer, "SELECT repeat('x', 100000) AS wide FROM generate_series(1, 1000)")
                peak = peak_of(rig.bench.hub.pid)
            assert not answer.get("isError"), answer
            assert answer["structuredContent"]["has_more"]
            assert len(answer["content"][0]["text"]) <= most
            assert peak < before + 20 * mib, (era, before, peak)


def peak_of(pid: int) -> int:
    """The most memory a process has had at once, in bytes; what it gave back since counts, too."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


async def test_a_hub_leaves_without_a_database_that_is_stopped(rig: Rig, probe: Installed, tmp_path: Path) -> None:
    """F-04: nobody says goodbye to it."""
    with working(tmp_path, probe, settings=with_database(rig.database.dsn)) as bench:
        async with connected("modern", bench.hub.url) as peer:
            await works(peer)
        with frozen(rig.database.pid):
            began = time.monotonic()
            bench.hub.signal(signal.SIGTERM)
            assert await bench.hub.ended() == 0
            assert time.monotonic() - began < 2 + SOON


async def test_connections_that_another_server_does_not_know_are_replaced(rig: Rig) -> None:
    """F-30: an address moved to it, so that all that rest in the pool are stale, and look well; no query notices."""
    async with asked(rig.bench) as here:
        before = rig.proxy.accepted
        rig.proxy.forget()
        await works(here.watcher)
        assert rig.proxy.accepted > before


async def test_another_server_takes_over(probe: Installed, tmp_path: Path) -> None:
    """F-30: the first of two, then the second is killed and started anew; there are errors only while it is away."""
    with open_folder() as first, open_folder() as second:
        async with embedded(first, port=free_port(), options=UNSAFE) as one:
            (second / "secret").write_text((first / "secret").read_text())  # so that one DSN is right for both
            async with embedded(second, port=free_port(), options=UNSAFE) as other:
                ports = [urlsplit(server.dsn).port for server in (one, other)]
                dsn = one.dsn.replace(f":{ports[0]}/", f":{ports[0]},127.0.0.1:{ports[1]}/")
                dsn += "?target_session_attrs=primary"
                with working(tmp_path, probe, settings=with_database(dsn)) as bench:
                    async with asked(bench) as here, asking(bench) as answers:
                        without = [await gone(one, here.watcher, answers), await gone(other, here.watcher, answers)]
    failed = [moment for moment, is_answer in answers if not is_answer]
    assert all(any(begin <= moment <= end for begin, end in without) for moment in failed), (without, failed)


@asynccontextmanager
async def asking(bench: Bench) -> AsyncGenerator[list[tuple[float, bool]]]:
    """One query after the other in each era while the block runs: when each came back, and whether with an answer."""
    answers: list[tuple[float, bool]] = []

    async def go_on(era: Era) -> None:
        async with connected(era, bench.hub.url) as peer:
            while True:
                answer = await query(peer, "SELECT 2 AS two")
                answers.append((time.monotonic(), not answer.get("isError")))

    async with anyio.create_task_group() as tasks:
        for era in ERAS:
            tasks.start_soon(go_on, era)
        yield answers
        tasks.cancel_scope.cancel()


async def gone(server: Embedded, peer: Peer, answers: list[tuple[float, bool]]) -> tuple[float, float]:
    """Kill a server in the middle of work, start it again, and wait for answers; from when to when were there none."""
    enough = len(answers) + 20
    with anyio.fail_after(10):
        while len(answers) < enough:
            await anyio.sleep(0.02)
    begin = time.monotonic()
    await server.kill()
    await server.start()
    await recovers(peer)
    return begin, time.monotonic()


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


Asked = tuple[Bench, FaultProxy]


@pytest.fixture(scope="module")
async def upstreamed(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Asked]:
    """A hub whose plugin `ledger` asks an upstream behind a proxy."""
    folder = tmp_path_factory.mktemp("upstream")
    async with upstream(folder / "ledger.txt") as port, proxying(port) as proxy:
        settings = {**QUICK, "plugins": {"ledger": {"upstream": proxy.url}}}
        with working(folder, probe, settings=settings) as bench:
            yield bench, proxy


@asynccontextmanager
async def upstream_scene(asked: Asked) -> AsyncGenerator[Scene]:
    """A scene that begins with a connection to the upstream, and ends with none."""
    bench, proxy = asked
    async with connected("modern", bench.hub.url) as peer:
        await call(peer, "ledger_fetch", {"tag": "first"})
    async with scene(bench) as here:
        yield here
        proxy.reset()


@pytest.mark.parametrize("era", ERAS)
async def test_a_lost_answer_to_a_write_is_not_asked_for_again(upstreamed: Asked, era: Era) -> None:
    """F-33: the upstream has carried it out, and does so once; what only reads may be asked again."""
    bench, proxy = upstreamed
    async with upstream_scene(upstreamed) as here:
        async with session(here.history, era, bench.hub.url, era) as peer:
            assert (await here.history.call(peer, era, "fetch")).end == "ok"
            proxy.harm(Fault(cut_after=1), "down")
            lost = await here.history.call(peer, era, "post")
            assert lost.end == "error"
            assert bench.carried_out.count(lost.tag) == 1
            again = [await here.history.call(peer, era, "post") for _ in range(3)]
            assert [entry.end for entry in again] == ["ok"] * 3
            proxy.harm(Fault(cut_after=1), "down")
            assert (await here.history.call(peer, era, "fetch")).end == "ok"


async def test_an_upstream_that_is_away_is_told_at_once_and_found_again(upstreamed: Asked) -> None:
    """F-32, F-01: many ask while it is away, nobody waits long, and all goes on when it is back."""
    _, proxy = upstreamed
    async with upstream_scene(upstreamed) as here:
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
