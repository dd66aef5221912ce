"""The process itself: killed, frozen, out of disk or of descriptors, with its clock, log or settings changed."""

import logging
import os
import resource
import signal
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import psutil
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from tests.system.faults.bench import ERAS, Bench, holds, scene, session, working
from tests.system.faults.history import History, records_of
from tests.system.installed import Installed, install
from tests.system.npm import Clients
from tests.system.processes import serving
from tests.system.wire import Era, call

REMOTE = "mcp-remote/dist/proxy.js"

CLOCK = """
import os, pathlib, time

_file, _real = pathlib.Path(os.environ["CLOCK"]), time.time

def _time():
    try:
        return _real() + float(_file.read_text())
    except OSError:
        return _real()

time.time = _time
"""


@pytest.fixture(scope="module")
def bench(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[Bench]:
    """A hub for the tests that leave it as it was."""
    # After a reload a task waits for the last call that may still use an old pool.
    settings = {"calls": {"deadline": 2, "max_deadline": 2}}
    with working(tmp_path_factory.mktemp("processes"), probe, settings=settings) as started:
        yield started


@asynccontextmanager
async def load(history: History, url: str) -> AsyncGenerator[None]:
    """Writes in every era while the block runs, one after the other; who loses its session opens another one."""
    async with anyio.create_task_group() as tasks:
        stopped = anyio.Event()

        async def go_on(era: Era) -> None:
            while not stopped.is_set():
                try:
                    async with session(history, era, url, era) as peer:
                        while not stopped.is_set() and (await history.call(peer, era, "write")).end == "ok":
                            await anyio.sleep(0.005)
                except* Exception:  # noqa: BLE001 # no connection at this moment
                    await anyio.sleep(0.05)

        for era in ERAS:
            tasks.start_soon(go_on, era)
        yield
        stopped.set()


async def until(history: History, count: int, within: float = 15) -> None:
    """Wait until so many more calls were answered in each era."""
    wanted = {era: count + _answered(history, era) for era in ERAS}
    late = list(ERAS)
    with anyio.move_on_after(within):
        while late := [era for era, most in wanted.items() if _answered(history, era) < most]:
            await anyio.sleep(0.02)
    assert not late, f"{late} were answered too little; last: {history.last(*late)}"


def _answered(history: History, era: str) -> int:
    return sum(entry.session == era for entry in history.ended("ok"))


async def test_a_killed_hub_costs_each_client_one_call(probe: Installed, tmp_path: Path) -> None:
    """F-24: and is back in three seconds of its own work; of the audit log no more is lost than was under way."""
    with working(tmp_path, probe) as bench:
        history, port = bench.history(), bench.hub.port
        async with load(history, bench.hub.url):
            await until(history, 10)
            bench.hub.signal(signal.SIGKILL)
            assert await bench.hub.ended() == -signal.SIGKILL
            written = {record["arguments"]["tag"] for record in records_of(bench.audit) if "arguments" in record}
            unwritten = set(bench.carried_out) - written
            with bench.audit.open("ab") as file:
                file.write(b'{"time":"2026-11-21T10:00:00.000Z","event":"ca')  # what a kill may leave of a line
            with working(tmp_path, probe, settings={"server": {"port": port}}) as again:
                await until(history, 10)
                worked = psutil.Process(again.hub.pid).cpu_times()
                assert worked.user + worked.system < 3
                lost = [entry.session for entry in history.ended("lost", "error")]
                assert max(map(lost.count, ERAS)) <= 1, lost
        assert len(unwritten) < 50
        await holds(history, unwritten=unwritten)
    torn = [record for record in records_of(bench.audit) if record["event"] == "torn"]
    assert len(torn) == 1


async def test_mcp_remote_goes_on_after_a_kill(probe: Installed, clients: Clients, tmp_path: Path) -> None:
    """F-24: what Claude Desktop runs; it notices by a call that fails, and the next one is answered."""
    async with anyio.create_task_group() as tasks:
        with serving(tmp_path, probe) as hub:
            port = hub.port
            node, *script = clients.script(REMOTE)
            remote = StdioServerParameters(
                command=node,
                args=[*script, f"{hub.url}/sse", "--transport", "sse-only", "--allow-http"],
                env={**clients.environ, "MCP_REMOTE_CONFIG_DIR": str(tmp_path)},
            )
            with (tmp_path / "log").open("w+") as log, anyio.fail_after(60):
                async with Client(stdio_client(remote, errlog=log), mode="legacy") as peer:
                    assert not (await peer.call_tool("probe_echo", {"payload": "before"})).is_error
                    hub.signal(signal.SIGKILL)
                    await hub.ended()
                    with serving(tmp_path, probe, settings={"server": {"port": port}}):
                        failed = 0
                        while not await echoes(peer):
                            failed += 1
                            await anyio.sleep(3)  # the time an EventSource lets go by before it connects again
                        assert failed <= 1
        tasks.cancel_scope.cancel()


async def echoes(peer: Client) -> bool:
    """Whether a call is answered."""
    try:
        with anyio.fail_after(10):
            return not (await peer.call_tool("probe_echo", {"payload": "after"})).is_error
    except Exception:  # what a client does with a failure is its own business
        logging.getLogger(__name__).debug("a call failed", exc_info=True)
        return False


async def test_a_hub_that_was_frozen_answers_all(bench: Bench) -> None:
    """SIGSTOP and SIGCONT, as a snapshot of a virtual machine: late, and nothing lost."""
    async with scene(bench) as here:
        async with load(here.history, here.proxy.url):
            await until(here.history, 5)
            bench.hub.signal(signal.SIGSTOP)
            await anyio.sleep(1)
            bench.hub.signal(signal.SIGCONT)
            await until(here.history, 5)
        assert here.history.ended("lost", "error") == []


async def test_the_clock_may_jump(probe: Installed, tmp_path: Path) -> None:
    """F-27: an hour forth and back, and neither deadlines nor limits nor sessions notice."""
    clock = tmp_path / "clock"
    sitecustomize = install(tmp_path / "clocks", "pegclock", {"sitecustomize": CLOCK}, {})
    settings = {"limits": {"calls_per_minute": 600, "burst": 1000}, "server": {"session_idle_timeout": 60}}
    with working(tmp_path, probe, sitecustomize, settings=settings, environ={"CLOCK": str(clock)}) as bench:
        async with scene(bench) as here:
            async with load(here.history, here.proxy.url):
                for offset in (0, 3600, -3600, 0):
                    (tmp_path / "next").write_text(str(offset))
                    (tmp_path / "next").replace(clock)  # at once: the hub asks for the time at any moment
                    await until(here.history, 3)
                    ended = await here.history.call(here.watcher, "watcher", "read", seconds=5, deadline=0.5)
                    assert ended.end == "error", ended
                    assert "did not finish in 0.5 s" in ended.text
                    still = await here.history.call(here.watcher, "watcher", "read", seconds=0.3, deadline=5)
                    assert still.end == "ok", still
            assert here.history.ended("lost") == []
        times = {record["time"][:13] for record in records_of(bench.audit)}
        assert len(times) >= 3, "the clock has not jumped"


@pytest.mark.parametrize("policy", ["open", "closed"])
async def test_a_full_disk_stops_the_audit_log_and_nobody_else(probe: Installed, tmp_path: Path, policy: str) -> None:
    """F-28: what writes goes on or is refused, as was chosen; what was waiting is written when there is room."""
    with working(tmp_path, probe, settings={"audit": {"on_failure": policy}}) as bench:
        async with scene(bench) as here:
            ask = partial(here.history.call, here.watcher, "watcher")
            assert (await ask("write")).end == "ok"
            await holds(here.history)
            limited(bench.hub.pid, resource.RLIMIT_FSIZE, bench.audit.stat().st_size + 100)
            assert (await ask("read")).end == "ok"
            await bench.hub.said("audit.jsonl cannot be written: File too large")
            assert (await ask("read")).end == "ok"
            assert (await ask("write")).end == ("ok" if policy == "open" else "error")
            limited(bench.hub.pid, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
            await bench.hub.said("is written again; 0 lines were lost")
            assert (await ask("write")).end == "ok"
        refused = [record for record in records_of(bench.audit) if record.get("reason") == "audit"]
        assert len(refused) == (policy == "closed")


def limited(pid: int, kind: int, most: int) -> None:
    """What the process may have from now on."""
    _, hard = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (most if most >= 0 else hard, hard))


async def test_the_audit_log_is_rotated_in_the_middle_of_work(bench: Bench) -> None:
    """F-29: renamed, with SIGHUP, and copied and cut, as logrotate does; each call is in one of the files, once."""
    files = [bench.audit.with_name(f"audit.jsonl.{number}") for number in (1, 2)]
    async with scene(bench) as here:
        here.history.audit = (*files, bench.audit)
        async with load(here.history, bench.hub.url):
            await until(here.history, 20)
            bench.audit.rename(files[0])
            bench.hub.signal(signal.SIGHUP)
            await until(here.history, 20)
            files[1].write_bytes(bench.audit.read_bytes())
            await until(here.history, 5)  # what is written between the two is written again
            os.truncate(bench.audit, 0)
            await until(here.history, 20)
    assert all(records_of(file) for file in files)


async def test_a_hub_without_descriptors_serves_those_it_has_and_recovers(probe: Installed, tmp_path: Path) -> None:
    """F-34: `ulimit -n 64`; what comes too much waits or is turned away, without a busy loop, until there is room."""
    with working(tmp_path, probe) as bench:
        async with scene(bench) as here:
            limited(bench.hub.pid, resource.RLIMIT_NOFILE, 64)
            many = [await anyio.connect_tcp("127.0.0.1", bench.hub.port) for _ in range(100)]
            process = psutil.Process(bench.hub.pid)
            before = process.cpu_times()
            with anyio.move_on_after(2):
                while True:
                    assert await call(here.watcher, "probe_echo", {"payload": "served"}) == "served"
                    await anyio.sleep(0.1)
            after = process.cpu_times()
            assert after.user + after.system - before.user - before.system < 1
            for stream in many:
                await stream.aclose()
            with anyio.fail_after(10):
                async with session(here.history, "sse", bench.hub.url, "later") as peer:
                    assert (await here.history.call(peer, "later", "write")).end == "ok"
            limited(bench.hub.pid, resource.RLIMIT_NOFILE, resource.RLIM_INFINITY)


async def test_a_wrong_configuration_changes_nothing_for_calls_on_the_way(bench: Bench, tmp_path: Path) -> None:
    """F-40: the old one stays, the log says what is wrong, and nobody loses a call."""
    file = bench.audit.with_name("pegboard.toml")
    right = file.read_text()
    async with scene(bench) as here:
        async with load(here.history, bench.hub.url):
            await until(here.history, 5)
            file.write_text(right.replace("\ndeadline = 2", "\ndeadline = -1"))
            bench.hub.signal(signal.SIGHUP)
            await bench.hub.said("was not reloaded, the old one stays: .*calls.deadline")
            await until(here.history, 5)
            file.write_text(right)
            health = (await here.http.get("/health")).json()
            assert "calls.deadline" in health["configuration"]["problem"]
        assert here.history.ended("lost", "error") == []
