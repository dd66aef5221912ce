"""Between clients and the hub: whatever the network does, a call ends once, and nothing is left of it."""

import time
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.system.faults.bench import ERAS, Bench, scene, session, working
from tests.system.faults.proxy import Fault
from tests.system.installed import Installed
from tests.system.wire import ACCEPT, Era, connected, envelope, legacy, rpc

SOON = 1.5
LONG = 100_000


@pytest.fixture(scope="module")
def bench(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[Bench]:
    settings = {"results": {"tokens": 1_000_000, "bytes": 10 * LONG}}
    with working(tmp_path_factory.mktemp("network"), probe, settings=settings) as started:
        yield started


@pytest.mark.parametrize("era", ERAS)
async def test_a_connection_that_breaks_in_a_call_ends_it(bench: Bench, era: Era) -> None:
    """F-11: at once where the era says so; with a session over `/mcp` at its deadline, as a client may come back."""
    async with scene(bench) as here, session(here.history, era, here.proxy.url, era) as peer:
        before, began = len(bench.carried_out), time.monotonic()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(here.history.call, peer, era, "write", seconds=30, deadline=1))
            await bench.begun(before + 1)
            here.proxy.reset()
        (entry,) = here.history.entries
        record = await bench.record_of(entry.tag)
        assert entry.end == "lost"
        assert record["outcome"] == ("timeout" if era == "legacy" else "cancelled"), record
        assert time.monotonic() - began < (1 if era == "legacy" else 0) + SOON


async def test_a_cancel_notification_in_a_stateless_request_finds_nothing(probe: Installed, tmp_path: Path) -> None:
    """F-12: so the deadline ends the call; over SSE the same hub cancels it."""
    with working(tmp_path, probe, settings={"server": {"stateless": True}}) as bench:
        async with scene(bench) as here, connected("sse", here.proxy.url) as peer:
            params = {"name": "ledger_write", "arguments": {"tag": "over sse", "seconds": 30}}
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(peer.request, "tools/call", params, request_id=71))
                await bench.begun(1)
                await peer.notify("notifications/cancelled", {"requestId": 71})
                assert (await bench.record_of("over sse"))["outcome"] == "cancelled"
                tasks.cancel_scope.cancel()

            params = {"name": "ledger_write", "arguments": {"tag": "over mcp", "seconds": 30}}
            message = rpc("tools/call", params | {"_meta": {"pegboard/deadline": 1}}, 71)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(here.http.post, "/mcp", json=message, headers=ACCEPT))
                await bench.begun(2)
                note = rpc("notifications/cancelled", {"requestId": 71})
                assert (await here.http.post("/mcp", json=note, headers=ACCEPT)).status_code == 202
                assert (await bench.record_of("over mcp"))["outcome"] == "timeout"


@pytest.mark.parametrize("era", ERAS)
async def test_an_answer_cut_in_the_middle_is_lost_and_the_call_done_once(bench: Bench, era: Era) -> None:
    async with scene(bench) as here:
        async with session(here.history, era, here.proxy.url, era) as peer:
            here.proxy.harm(Fault(cut_after=LONG / 2), "down")
            cut = await here.history.call(peer, era, "write", size=LONG)
        here.proxy.heal()
        async with session(here.history, era, here.proxy.url, era) as peer:
            whole = await here.history.call(peer, era, "write", size=LONG)
    assert (cut.end, whole.end) == ("lost", "ok")
    assert bench.carried_out.count(cut.tag) == 1


@pytest.mark.parametrize("era", ERAS)
async def test_what_a_silent_network_held_back_arrives_once(bench: Bench, era: Era) -> None:
    """A hole in the network while answers are due, and others are not held up by it."""
    async with scene(bench) as here, session(here.history, era, here.proxy.url, era) as peer:
        before = len(bench.carried_out)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(partial(here.history.call, peer, era, "write", seconds=0.2))
            await bench.begun(before + 3)
            here.proxy.harm(Fault(silent=True), "down")
            for _ in range(10):
                await here.history.call(here.watcher, "watcher", "read")
            await anyio.sleep(0.3)  # the time in which the answers would have come
            assert {entry.session for entry in here.history.ended("ok")} == {"watcher"}
            here.proxy.heal()
        assert len(here.history.ended("ok")) == 10 + 3


@pytest.mark.parametrize("era", ERAS)
async def test_a_slow_network_changes_no_answer(bench: Bench, era: Era) -> None:
    async with scene(bench) as here, session(here.history, era, here.proxy.url, era) as peer:
        here.proxy.harm(Fault(delay=0.02, rate=400_000))
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(partial(here.history.call, peer, era, "read", size=10_000))
        assert {entry.end for entry in here.history.entries} == {"ok"}


@pytest.mark.parametrize("era", ERAS)
async def test_a_request_cut_in_the_middle_is_not_carried_out(bench: Bench, era: Era) -> None:
    async with scene(bench) as here, session(here.history, era, here.proxy.url, era) as peer:
        here.proxy.harm(Fault(cut_after=60), "up")
        entry = await here.history.call(peer, era, "write")
    assert entry.end == "lost"
    assert entry.tag not in bench.carried_out


@pytest.mark.parametrize("era", ERAS)
async def test_a_network_that_is_away_for_a_while_costs_the_calls_of_that_time(bench: Bench, era: Era) -> None:
    """A client connects anew after a failure, as mcp-remote and the SDK's users do."""
    async with scene(bench) as here:

        async def come_and_call(times: int) -> list[str]:
            ends: list[str] = []
            for _ in range(times):
                try:
                    async with session(here.history, era, here.proxy.url, era) as peer:
                        ends.append((await here.history.call(peer, era, "write")).end)
                except* Exception:  # noqa: BLE001 # no connection
                    ends.append("away")
            return ends

        assert await come_and_call(2) == ["ok", "ok"]
        here.proxy.down()
        assert "ok" not in await come_and_call(2)
        here.proxy.heal()
        assert await come_and_call(2) == ["ok", "ok"]


@pytest.mark.soak
async def test_idle_streams_have_some_traffic(bench: Bench) -> None:
    """F-38: a comment every 15 s, so that no load balancer takes them for dead after a minute."""
    params, listening = envelope("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    asked = rpc("subscriptions/listen", params, 1)
    async with scene(bench) as here, legacy(here.http) as peer, anyio.create_task_group() as tasks:

        async def hears(method: str, path: str, **more: Any) -> None:
            async with here.http.stream(method, path, **more) as response:
                with anyio.fail_after(20):  # longer than the client's own patience, which is for a single read
                    async for line in response.aiter_lines():
                        if line.startswith(":"):
                            return
            raise AssertionError(f"{path} ended")

        tasks.start_soon(partial(hears, "GET", "/sse"))
        tasks.start_soon(partial(hears, "GET", "/mcp", headers=peer.headers))
        tasks.start_soon(partial(hears, "POST", "/mcp", json=asked, headers=listening))
