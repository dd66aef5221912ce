"""Plugins that do not let go: a call, a lifespan or a thread that never ends holds up neither the hub nor its end."""

import json
import re
import signal
import time
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx
import psutil
import pytest
from tests.system.installed import Installed, install
from tests.system.processes import START_LIMIT, HubProcess, serving
from tests.system.test_stdio import asked, started
from tests.system.wire import OPENERS, Era, call, client, connected, hello, rpc, sse

LATE = 5.0
"""Seconds in which whatever is stuck is cut off."""

SLACK = 3.0

PLUGIN = """
    import asyncio
    import threading
    from contextlib import asynccontextmanager

    from pegboard import Plugin, hookimpl, tool

    async def swallow():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

    @tool(read_only=True, timeout=0.2)
    async def stubborn() -> str:
        '''Ignore every cancellation.'''
        await swallow()
        return "never"

    @tool(read_only=True)
    async def patient() -> str:
        '''Ignore every cancellation, and have time.'''
        await swallow()
        return "never"

    @tool(read_only=True, timeout=0.2)
    def threaded() -> str:
        '''Never come back from a thread.'''
        threading.Event().wait()
        return "never"

    @tool(read_only=True)
    async def leaks() -> str:
        '''Start a task and forget it.'''
        leaks.task = asyncio.create_task(asyncio.sleep(3600))
        return "done"

    @hookimpl
    def hub_plugin():
        return Plugin(name="{name}", tools=[stubborn, patient, threaded, leaks])
"""

LIFESPAN = """
    @hookimpl
    @asynccontextmanager
    async def hub_lifespan(hub):
        yield
        await swallow()
"""


def stuck(folder: Path, name: str, more: str = "") -> Installed:
    return install(folder, name, {name: PLUGIN.replace("{name}", name) + more}, {name: name})


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> list[Installed]:
    folder = tmp_path_factory.mktemp("stuck")
    return [stuck(folder, "sticky"), stuck(folder, "lingering", LIFESPAN)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def hub(plugins: list[Installed], probe: Installed, folder: Path) -> Generator[HubProcess]:
    """A hub that serves both, and the probe."""
    settings = {"metrics": {"public": True}, "server": {"grace": 0.2}}
    with serving(folder, probe, *plugins, settings=settings) as running:
        yield running


async def test_calls_that_ignore_their_end_are_cut_off(hub: HubProcess) -> None:
    """F-10: on every transport, at several endpoints; whoever leaves is let go, and the others notice nothing."""
    answers: dict[str, str] = {}
    async with client(hub.url) as http:

        async def ask(era: Era, path: str) -> None:
            async with OPENERS[era](http, path) as peer:
                answer = await peer.request("tools/call", {"name": "sticky_stubborn", "arguments": {}})
                answers[f"{era} {path}"] = answer["result"]["content"][0]["text"]

        with anyio.fail_after(LATE + SLACK):
            async with anyio.create_task_group() as tasks:
                async with sse(http) as leaving:
                    await leaving.post(rpc("tools/call", {"name": "sticky_patient", "arguments": {}}, 7))
                    await began(http, 1)
                tasks.start_soon(ask, "sse", "")
                tasks.start_soon(ask, "legacy", "/sticky")
                tasks.start_soon(ask, "modern", "")
                await began(http, 4)
        assert len(answers) == 3
        assert set(answers.values()) == {
            "sticky_stubborn did not finish in 0.2 s and cannot be cancelled; it was given up and may still run"
        }
        with anyio.fail_after(SLACK):
            while (counted := await metrics(http))['pegboard_abandoned_total{plugin="sticky",what="call"}'] < 4:
                await anyio.sleep(0.05)
            while counted['pegboard_sessions{transport="sse"}'] or counted["pegboard_calls_running"]:
                counted = await metrics(http)
        # A scope that is cancelled tries again in every round of the loop: the hub would never be idle any more.
        used = psutil.Process(hub.pid).cpu_times().user
        await anyio.sleep(0.5)
        assert psutil.Process(hub.pid).cpu_times().user - used < 0.25
        async with connected("modern", hub.url) as other:
            assert await call(other, "probe_echo", {"payload": "well"}) == "well"
    assert hub.log.text.count("sticky_stubborn ignores its cancellation") == 1
    assert "swallow (sticky.py:" in (await hub.said("sticky_stubborn ignores its cancellation.*"))[0]


async def test_a_task_that_outlives_its_call_is_named_and_ends_with_its_plugin(hub: HubProcess, folder: Path) -> None:
    """F-10: and a lifespan that does not end holds a reload up for five seconds."""
    async with client(hub.url) as http, connected("modern", hub.url) as peer:
        assert await call(peer, "lingering_leaks") == "done"
        await hub.said("lingering_leaks has left a task behind, in sleep ", 5)
        assert (await metrics(http))['pegboard_abandoned_total{plugin="lingering",what="task"}'] == 1
        file = folder / "pegboard.toml"
        file.write_text(file.read_text().replace('"lingering"', '"nobody"'))
        began = time.monotonic()
        hub.signal(signal.SIGHUP)
        await hub.said("the configuration was reloaded", LATE + SLACK)
        assert time.monotonic() - began < LATE + SLACK
        await hub.said(r"the lifespan of plugin lingering ignores its cancellation .* swallow \(lingering.py:")
        assert (await metrics(http))['pegboard_abandoned_total{plugin="lingering",what="lifespan"}'] == 1


async def began(http: httpx.AsyncClient, count: int) -> None:
    """Wait until so many calls run."""
    while (await metrics(http))["pegboard_calls_running"] < count:
        await anyio.sleep(0.02)


async def metrics(http: httpx.AsyncClient) -> dict[str, float]:
    lines = (await http.get("/metrics")).text.splitlines()
    return defaultdict(
        float, {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}
    )


@dataclass
class Way:
    """One thing that is stuck when the hub is told to stop, and what the log says of it."""

    plugin: str
    tool: str | None
    told: str
    within: float = LATE
    server: Mapping[str, Any] = field(default_factory=dict[str, Any])


WAYS = {
    "call": Way("sticky", "sticky_patient", "sticky_patient ignores its cancellation"),
    "call in a worker": Way("sticky", "sticky_patient", "sticky_patient ignores its", server={"workers": 2}),
    "thread": Way("sticky", "sticky_threaded", r"without waiting any longer for the thread .* threaded \(sticky", 2),
    "lifespan": Way("lingering", None, "the lifespan of plugin lingering ignores its cancellation"),
}


async def test_nothing_that_is_stuck_keeps_the_process_from_ending(plugins: list[Installed], tmp_path: Path) -> None:
    """F-10: a call, a thread and a lifespan, each in a hub of its own, in a worker and on standard input.

    The status is that of any stop, and calls are on record.
    """
    installed = {plugin.name: plugin for plugin in plugins}
    async with anyio.create_task_group() as tasks:
        for name, way in WAYS.items():
            tasks.start_soon(ends, way, installed[way.plugin], tmp_path / name.replace(" ", "-"))
        tasks.start_soon(anyio.to_thread.run_sync, ends_on_standard_input, installed["sticky"], tmp_path)


async def ends(way: Way, plugin: Installed, folder: Path) -> None:
    """Have a hub stuck, stop it, and see that it ends."""
    folder.mkdir()
    settings = {"server": {"grace": 0.2, **way.server}, "audit": {"file": str(folder / "audit.jsonl")}}
    with ExitStack() as stack:
        hub = await anyio.to_thread.run_sync(stack.enter_context, serving(folder, plugin, settings=settings))
        async with client(hub.url) as http, sse(http) as session:
            if way.tool is not None:
                await session.post(rpc("tools/call", {"name": way.tool, "arguments": {}}, 5))
                await anyio.sleep(0.5)
            began = time.monotonic()
            hub.signal(signal.SIGTERM)
            assert await hub.ended(way.within + SLACK + 1) == 0, way
        took = time.monotonic() - began
        told = await anyio.to_thread.run_sync(hub.log.wait_for_end)
        assert re.search(way.told, told), told
        assert took < 0.2 + way.within + SLACK, (way, took)
    lines = [line for file in folder.glob("audit*") for line in file.read_text().splitlines()]
    records = [json.loads(line) for line in lines]
    assert [record["tool"] for record in records if record["event"] == "call"] == [way.tool] * (way.tool is not None)


def ends_on_standard_input(plugin: Installed, folder: Path) -> None:
    """The same where the input ends while a call and a thread are stuck; both have their answers."""
    with started(folder, plugin, handshake=False) as child:
        child.send(rpc("initialize", hello(), 1), rpc("notifications/initialized"))
        child.out.wait_for(r'"id":1[,}]', START_LIMIT)  # others start at the same time
        child.send(asked("sticky_threaded", {}, 2), asked("sticky_stubborn", {}, 3))
        began = time.monotonic()
        child.end_input()
        assert child.ended(LATE + SLACK + 1) == 0
        assert time.monotonic() - began < 0.2 + LATE + SLACK
        answers = [message for message in child.messages() if "id" in message]
        assert [answer["id"] for answer in answers] == [1, 2, 3]
        assert "cannot be cancelled" in answers[-1]["result"]["content"][0]["text"]
