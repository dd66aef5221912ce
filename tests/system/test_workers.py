"""Several workers: one port, served by processes that hand each other what only one of them can answer."""

import json
import signal
import socket
import stat
import subprocess
import time
import tomllib
from collections.abc import Generator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir

import anyio
import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.certificates import make_pair
from tests.system.installed import Installed
from tests.system.processes import PEGBOARD, HubProcess, configure, environment, serving, stop
from tests.system.test_budget import free_ports
from tests.system.wire import (
    ACCEPT,
    OPENERS,
    Era,
    Json,
    Peer,
    call,
    client,
    connected,
    inside,
    legacy,
    restless,
    rpc,
    sse,
)

BACK_WITHIN = 3.0
"""Seconds until what was killed is usable again; on a busy machine at most as many as the start of all took."""

SETTINGS = {"server": {"workers": 2, "replica": "hub-1"}, "log": {"format": "json"}}


@pytest.fixture(scope="module")
def hub(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    """One hub of two workers for every test that leaves two as it goes."""
    folder, began = tmp_path_factory.mktemp("workers"), time.monotonic()
    with serving(folder, probe, settings={**SETTINGS, "audit": {"file": str(folder / "audit.jsonl")}}) as started:
        started.started_in = time.monotonic() - began
        yield started


@pytest.fixture
def short_lived(probe: Installed, tmp_path: Path) -> Generator[HubProcess]:
    """One that a test ends, with TLS and a port for each endpoint."""
    pair = make_pair(tmp_path)
    port = free_ports(2)
    tls = {"tls_certificate": str(pair.certificate), "tls_key": str(pair.key)}
    settings = {**SETTINGS, "server": {**SETTINGS["server"], **tls, "split_ports": port}}
    with serving(tmp_path, probe, settings=settings) as started:
        yield started


def file_of(hub: HubProcess) -> Path:
    """Its configuration file."""
    return Path(hub.process.args[3])  # type: ignore[index] # as `serving` starts it


def errors_of(hub: HubProcess) -> list[Json]:
    """What its log calls an error."""
    lines = [json.loads(line) for line in hub.log.text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["level"] == "ERROR"]


async def reload(hub: HubProcess, probe: Installed) -> subprocess.CompletedProcess[bytes]:
    """What `pegboard reload` says to it."""
    (empty := file_of(hub).with_name("empty.toml")).touch()
    command = [PEGBOARD, "reload", "--config", str(empty), "--url", hub.url]
    return await anyio.run_process(command, check=False, env=environment([probe]))


async def pids(url: str) -> dict[str, int]:
    """The process of each worker that answers."""
    async with client(url) as http:
        workers = (await http.get("/health")).json()["workers"]
    return {name: worker["pid"] for name, worker in workers.items() if worker is not None}


async def replaced(hub: HubProcess, victim: int) -> set[int]:
    """Wait until another has the place of a worker that was killed; returns who is there now."""
    while True:
        with suppress(httpx.TransportError):  # this connection was the victim's
            now = set((await pids(hub.url)).values())
            if len(now) == 2 and victim not in now:
                return now
        await anyio.sleep(0.05)


async def health(url: str) -> Json:
    async with client(url) as http:
        return (await http.get("/health")).json()


@pytest.mark.parametrize("path", ["", "/probe"])
@pytest.mark.parametrize("era", ["sse", "legacy"])
async def test_a_session_stays_with_its_worker_whatever_connection_asks(hub: HubProcess, era: Era, path: str) -> None:
    served: set[int] = set()
    with anyio.fail_after(20):
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(restless(hub.url))
            for _ in range(10):
                peer = await stack.enter_async_context(OPENERS[era](http, path))
                seen = {(await inside(peer))["pid"] for _ in range(4)}
                assert len(seen) == 1
                served |= seen
    assert served == set((await pids(hub.url)).values())


async def test_a_request_that_stands_alone_is_answered_where_it_lands(hub: HubProcess) -> None:
    with anyio.fail_after(20):
        async with restless(hub.url) as http, OPENERS["modern"](http) as peer:
            served = {(await inside(peer))["pid"] for _ in range(20)}
    assert served == set((await pids(hub.url)).values())


async def test_what_is_handed_over_streams_and_can_be_cancelled(hub: HubProcess) -> None:
    with anyio.fail_after(20):
        async with restless(hub.url) as http, sse(http, "/probe") as session, legacy(http) as peer:
            for number in range(4):
                tag = f"held {number}"
                held = rpc("tools/call", {"name": "probe_hold", "arguments": {"tag": tag}}, 100 + number)
                await session.post(held)
                await call(session, "probe_until", {"tag": tag, "state": "started"})
                await session.notify("notifications/cancelled", {"requestId": 100 + number})
                await call(session, "probe_until", {"tag": tag, "state": "cancelled"})

                token = {"name": "probe_count_to", "arguments": {"total": 3}, "_meta": {"progressToken": number}}
                answer = await peer.request("tools/call", token)
                assert answer["result"]["content"][0]["text"] == "counted to 3"
            assert len(peer.notes) == 12


async def test_a_session_ends_from_anywhere_and_its_stream_with_it(hub: HubProcess) -> None:
    with anyio.fail_after(20):
        async with restless(hub.url) as http:
            for _ in range(4):
                async with legacy(http) as peer:
                    assert peer.headers["Mcp-Session-Id"].startswith("hub-1-w")
                    async with http.stream("GET", "/mcp", headers=peer.headers) as stream:
                        assert stream.status_code == 200
                        assert (await http.delete("/mcp", headers=peer.headers)).status_code == 200
                        await stream.aread()
                    assert (await http.post("/mcp", json=rpc("ping", None, 1), headers=peer.headers)).status_code == 404


async def test_pages_tell_of_all_workers(hub: HubProcess) -> None:
    with anyio.fail_after(20):
        async with restless(hub.url) as http:
            for _ in range(5):
                page, ready = (await http.get("/health")).json(), await http.get("/ready")
                assert (page["status"], page["pid"], list(page["workers"])) == ("ok", hub.pid, ["hub-1-w0", "hub-1-w1"])
                assert {psutil.Process(one["pid"]).ppid() for one in page["workers"].values()} == {hub.pid}
                assert (ready.status_code, ready.json()["workers"]) == (200, {"hub-1-w0": True, "hub-1-w1": True})


async def calls_of(http: httpx.AsyncClient) -> dict[str, float]:
    """What each worker has counted of echo calls."""
    text = (await http.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    kept = [one for one in samples if one.name == "pegboard_calls_total" and one.labels["tool"] == "probe_echo"]
    assert {one.labels["worker"] for one in samples} == {"hub-1-w0", "hub-1-w1"}
    return {one.labels["worker"]: one.value for one in kept}


async def test_what_the_workers_count_adds_up_whichever_is_asked(hub: HubProcess) -> None:
    with anyio.fail_after(20):
        async with restless(hub.url) as http, OPENERS["modern"](http) as peer:
            await call(peer, "probe_echo", {"payload": "x"})
            before = sum((await calls_of(http)).values())
            for _ in range(12):
                await call(peer, "probe_echo", {"payload": "x"})
            after = [await calls_of(http) for _ in range(4)]
    assert [sum(counts.values()) - before for counts in after] == [12, 12, 12, 12]
    assert len(after[0]) == 2


async def test_lines_of_the_log_name_their_worker_and_each_has_an_audit_log(hub: HubProcess) -> None:
    with anyio.fail_after(20):
        async with restless(hub.url) as http, OPENERS["modern"](http) as peer:
            for _ in range(12):
                await call(peer, "probe_echo", {"payload": "x"})
    lines = [json.loads(line) for line in hub.log.text.splitlines() if line.startswith("{")]
    assert {line.get("worker") for line in lines if line["event"] == "call"} == {"hub-1-w0", "hub-1-w1"}
    folder = file_of(hub).parent
    for number in range(2):
        records = (folder / f"audit.jsonl-w{number}").read_text().splitlines()
        assert {json.loads(record)["event"] for record in records} >= {"call"}


async def test_nobody_else_reaches_the_way_between_them(hub: HubProcess) -> None:
    """What a worker believes of another comes through a socket that nobody else can open."""
    listeners = [c.laddr for pid in (await pids(hub.url)).values() for c in psutil.Process(pid).net_connections("unix")]
    doors = [Path(str(address)) for address in listeners if str(address).startswith(gettempdir())]
    assert {door.name for door in doors} == {"0", "1"}
    assert {stat.S_IMODE(door.stat().st_mode) for door in doors} == {0o600}
    assert {stat.S_IMODE(door.parent.stat().st_mode) for door in doors} == {0o700}


async def test_a_session_nobody_has_is_not_found(hub: HubProcess) -> None:
    async with restless(hub.url) as http:
        for owner in ("hub-1-w0", "hub-1-w1", "hub-1-w2", "hub-1-w0-hub-1-w1"):
            headers = {**ACCEPT, "Mcp-Session-Id": f"{owner}-{'0' * 32}"}
            assert (await http.post("/mcp", json=rpc("ping", None, 1), headers=headers)).status_code == 404
            posted = await http.post(f"/messages/{owner}/?session_id={'0' * 32}", json=rpc("ping", None, 1))
            assert posted.status_code in (404, 405)


async def of_worker(pid: int, era: Era, hub: HubProcess, stack: AsyncExitStack) -> Peer:
    """A client that this worker answers."""
    while True:
        peer = await stack.enter_async_context(connected(era, hub.url))
        if (await inside(peer))["pid"] == pid:
            return peer


async def test_a_worker_that_is_killed_harms_no_other_and_is_back(hub: HubProcess) -> None:
    done, before, over = 0, 0, anyio.Event()
    took, now, survivor = 0.0, set[int](), 0

    async def load(peer: Peer) -> None:
        nonlocal done
        while not over.is_set():
            assert await call(peer, "probe_echo", {"payload": "x"}) == "x"
            done += 1

    with anyio.fail_after(30):
        async with AsyncExitStack() as stack:
            victim, survivor = (await pids(hub.url)).values()
            lost = await of_worker(victim, "legacy", hub, stack)
            # Without a session one connection is enough, which lasts and belongs to one worker.
            kept = [await of_worker(survivor, "modern", hub, stack) for _ in range(2)]
            async with anyio.create_task_group() as tasks:
                for peer in kept:
                    tasks.start_soon(load, peer)
                while not done:  # and no call of our own, which would open a connection to anybody
                    await anyio.sleep(0.01)
                before, began = done, time.monotonic()
                psutil.Process(victim).kill()
                now = await replaced(hub, victim)
                took = time.monotonic() - began
                over.set()
            assert survivor in now
            assert done > before
            with pytest.raises((httpx.TransportError, AssertionError, KeyError)):  # its sessions are gone: 404
                await call(lost, "probe_echo", {"payload": "x"})
            async with connected("sse", hub.url) as again:
                assert await call(again, "probe_echo", {"payload": "again"}) == "again"
    assert "ended by signal 9; it is started again" in hub.log.text
    assert took < max(BACK_WITHIN, hub.started_in)


def split_port_of(hub: HubProcess) -> int:
    """The port of the plugin `probe`, the second with one of its own, after the hub's."""
    return int(tomllib.loads(file_of(hub).read_text())["server"]["split_ports"]) + 1


async def test_every_answer_in_flight_is_given_when_it_stops(short_lived: HubProcess) -> None:
    """Calls of all kinds, over the connections of any worker, with TLS and at the port of an endpoint too."""
    hub, answers = short_lived, dict[str, str]()
    with anyio.fail_after(30):
        workers = [psutil.Process(pid) for pid in (await pids(hub.url)).values()]
        own = f"https://127.0.0.1:{split_port_of(hub)}"
        async with restless(hub.url) as whole, restless(own) as split, AsyncExitStack() as stack:
            peers = [
                await stack.enter_async_context(OPENERS[era](http, ""))
                for era in OPENERS
                for http in (whole, whole, split, split)
            ]
            async with anyio.create_task_group() as tasks:

                async def ask(peer: Peer, tag: str) -> None:
                    answers[tag] = await call(peer, "probe_wait", {"tag": tag, "seconds": 2.0})

                for number, peer in enumerate(peers):
                    tasks.start_soon(ask, peer, str(number))
                await anyio.sleep(0.7)
                hub.signal(signal.SIGTERM)
                for worker in workers:  # as a service manager does that signals the whole group
                    worker.terminate()
        assert await hub.ended() == 0
    assert answers == {str(number): str(number) for number in range(12)}
    assert not [worker for worker in workers if worker.is_running()]
    assert "Traceback" not in hub.log.wait_for_end()


async def test_a_second_signal_ends_all_at_once(short_lived: HubProcess) -> None:
    hub = short_lived
    with anyio.fail_after(20):
        workers = [psutil.Process(pid) for pid in (await pids(hub.url)).values()]
        async with client(hub.url) as http, sse(http) as session:
            await session.post(rpc("tools/call", {"name": "probe_hold", "arguments": {"tag": "x"}}, 9))
            await call(session, "probe_until", {"tag": "x", "state": "started"})
            hub.signal(signal.SIGTERM)
            await hub.said("draining: 1 calls in flight")
            hub.signal(signal.SIGTERM)
            assert await hub.ended() == 128 + signal.SIGTERM
            await session.closed.wait()
        assert psutil.wait_procs(workers, 5)[1] == []


async def test_a_hub_whose_supervisor_is_killed_is_usable_again_while_its_workers_give_their_answers(
    probe: Installed, tmp_path: Path
) -> None:
    """`kill -9`, with calls in flight at each worker. They let go of the port, answer, and end."""
    answers, took = list[str](), 0.0

    async def ask(peer: Peer, tag: str) -> None:
        answers.append(await call(peer, "probe_wait", {"tag": tag, "seconds": 2.0}))

    async def use(began: float) -> None:
        nonlocal took
        with suppress(httpx.TransportError):
            async with connected("sse", killed.url) as peer:
                assert await call(peer, "probe_echo", {"payload": "x"}) == "x"
                took = time.monotonic() - began

    starting = time.monotonic()
    with anyio.fail_after(40), serving(tmp_path, probe, settings=SETTINGS) as killed:
        started_in = time.monotonic() - starting
        workers = [psutil.Process(pid) for pid in (await pids(killed.url)).values()]
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            peers = [await stack.enter_async_context(connected("legacy", killed.url)) for _ in range(4)]
            for number, peer in enumerate(peers):
                tasks.start_soon(ask, peer, str(number))
            await anyio.sleep(0.3)
            began = time.monotonic()
            killed.process.kill()
            while not is_free(killed.port):
                await anyio.sleep(0.01)
            assert answers == [], "it was not free while calls were in flight"
            with started_again(tmp_path, probe, killed.port):
                while not took:
                    await use(began)
                    await anyio.sleep(0.02)
                while len(answers) < len(peers):
                    await anyio.sleep(0.02)
        assert (await anyio.to_thread.run_sync(psutil.wait_procs, workers, 10))[1] == []
    assert took < max(BACK_WITHIN, started_in)


def is_free(port: int) -> bool:
    """Whether a hub could listen there."""
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


@contextmanager
def started_again(folder: Path, probe: Installed, port: int) -> Generator[None]:
    """The hub once more; nobody waits until it is ready."""
    settings = {**SETTINGS, "server": {**SETTINGS["server"], "port": port}}
    file = configure(folder, [probe], settings)
    output, env = subprocess.DEVNULL, environment([probe])
    process = subprocess.Popen([PEGBOARD, "serve", "--config", str(file)], stdout=output, stderr=output, env=env)
    try:
        yield
    finally:
        stop(process)


async def test_a_reload_reaches_every_worker_or_none(hub: HubProcess, probe: Installed) -> None:
    """Also one that is started anew while the file is wrong serves what the others do."""
    file, errors = file_of(hub), len(errors_of(hub))
    with anyio.fail_after(30):
        before = (await health(hub.url))["configuration"]["generation"]
        whole = file.read_text() + '\n[endpoints.mine]\ntools = ["probe_echo"]\n'
        file.write_text(whole)
        taken = await reload(hub, probe)
        file.write_text(whole + "[calls]\ndeadline = -1\n")
        refused = await reload(hub, probe)
        victim = (await pids(hub.url))["hub-1-w0"]
        psutil.Process(victim).kill()
        await replaced(hub, victim)
        async with restless(hub.url) as http:
            for _ in range(6):
                async with sse(http, "/mine") as session:
                    assert await call(session, "probe_echo", {"payload": "x"}) == "x"
        page = await health(hub.url)
        file.write_text(whole)
    assert (taken.returncode, refused.returncode) == (0, 2)
    assert f"serves generation {before + 1}" in taken.stdout.decode()
    assert "calls.deadline: must be greater than 0" in refused.stderr.decode()
    assert "calls.deadline: must be greater than 0" in page["configuration"]["problem"]
    assert {worker["generation"] for worker in page["workers"].values()} == {before + 1}
    assert len(errors_of(hub)) - errors == 1
