"""A thousand clients: what each costs, that all are answered, and that nothing is left of them.

`make scale` runs the long ones, which take a minute or two.
"""

import resource
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import anyio.abc
import httpx
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.test_many_sessions import ROOM, settled, warmed
from tests.system.wire import ACCEPT, SseSession, Streamable, call, client, connected, hello, inside, legacy, rpc, sse

from pegboard.security.keys import Key
from pegboard.security.scopes import Scopes

KIB = 1024
CHECKOUT = Path(__file__).parents[2]
SIDE_BY_SIDE = 20

# The SDK's own are 110 KiB of it.
MOST_OF_A_SESSION = 150 * KIB


@asynccontextmanager
async def crowd(hub: HubProcess, size: int) -> AsyncGenerator[list[SseSession]]:
    """So many open SSE sessions, opened some at a time."""
    sessions: list[SseSession] = []
    async with client(hub.url) as http, anyio.create_task_group() as tasks:
        over = anyio.Event()
        http.timeout = 60  # the first ones hear nothing while the last ones connect

        async def one(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with sse(http) as session:
                sessions.append(session)
                task_status.started()
                await over.wait()

        async def some(count: int) -> None:
            for _ in range(count):
                await tasks.start(one)

        async with anyio.create_task_group() as openers:
            for _ in range(SIDE_BY_SIDE):
                openers.start_soon(some, size // SIDE_BY_SIDE)
        yield sessions
        over.set()


async def answered(sessions: list[SseSession]) -> list[str]:
    """What each of them hears when all ask at once."""
    texts: list[str] = []

    async def ask(number: int, session: SseSession) -> None:
        text = await call(session, "probe_echo", {"payload": f"session {number}"})
        if text == f"session {number}":
            texts.append(text)

    async with anyio.create_task_group() as tasks:
        for number, session in enumerate(sessions):
            tasks.start_soon(ask, number, session)
    return texts


async def a_crowd_comes_and_goes(hub: HubProcess, size: int) -> None:
    """Each session is cheap, each is answered, and tasks, descriptors and sessions are back where they were."""
    async with connected("modern", hub.url) as watcher:
        before = await warmed(watcher, hub.url)
        async with crowd(hub, size) as sessions:
            during = await inside(watcher)  # open and initialized; a call of each at once takes some more
            assert await open_sessions(hub) == size
            assert len(await answered(sessions)) == size
            assert during["memory"] - before["memory"] < size * MOST_OF_A_SESSION
        await settled(watcher, before)
        assert await open_sessions(hub) == 0


async def open_sessions(hub: HubProcess) -> int:
    """How many SSE sessions the hub counts."""
    async with client(hub.url) as http:
        lines = (await http.get("/metrics")).text.splitlines()
    found = next(line for line in lines if line.startswith("pegboard_sessions{") and "sse" in line)
    return round(float(found.split()[-1]))


@pytest.fixture(scope="module")
def hub(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    """A hub with room for many, which logs no calls."""
    settings = {"server": {"max_sessions": 1500}, "log": {"calls": False}}
    with serving(tmp_path_factory.mktemp("scale"), probe, settings=settings) as one:
        yield one


async def test_three_hundred_sessions_are_cheap_answered_and_freed(hub: HubProcess) -> None:
    """F-13: in every CI run."""
    with anyio.fail_after(60):
        await a_crowd_comes_and_goes(hub, 300)


@pytest.mark.scale
async def test_a_thousand_sessions_are_cheap_answered_and_freed(hub: HubProcess) -> None:
    """F-13: 1 000 SSE sessions."""
    with anyio.fail_after(180):
        await a_crowd_comes_and_goes(hub, 1000)


@pytest.mark.scale
async def test_five_thousand_clients_that_come_and_go_leave_nothing(hub: HubProcess) -> None:
    """F-36: connect, call, leave; the first 500 reach the plateau."""

    async def come_and_go(times: int) -> None:
        async with client(hub.url) as http:
            for number in range(times):
                async with sse(http) as session:
                    assert await call(session, "probe_echo", {"payload": str(number)}) == str(number)

    async def side_by_side(times: int) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(SIDE_BY_SIDE):
                tasks.start_soon(come_and_go, times // SIDE_BY_SIDE)

    async with connected("modern", hub.url) as watcher:
        await side_by_side(500)
        before = await settled(watcher, await inside(watcher))
        with anyio.fail_after(300):
            await side_by_side(5000)
        after = await settled(watcher, before)
    assert after["memory"] < before["memory"] + ROOM


@pytest.mark.scale
async def test_ten_thousand_connections_that_say_nothing_leave_the_hub_usable(hub: HubProcess) -> None:
    """F-13: they cost descriptors, which are bounded by the system, and no sessions."""
    count = min(10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    async with connected("modern", hub.url) as watcher, AsyncExitStack() as stack:
        before = await inside(watcher)
        with anyio.fail_after(120):
            for _ in range(count):
                await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", hub.port))
            assert await call(watcher, "probe_echo", {"payload": "still here"}) == "still here"
            assert (await inside(watcher))["descriptors"] >= before["descriptors"] + count - 100
            await stack.aclose()
        await settled(watcher, before, within=30)


@pytest.mark.scale
def test_the_bench_of_scale_runs() -> None:
    """Its numbers are for people; that it runs is for us."""
    quick = [sys.executable, "-m", "bench.scale", "--quick"]
    done = subprocess.run(quick, cwd=CHECKOUT, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    assert "SSE sessions" in done.stdout


ANN, ANNS = Key.create("ann", Scopes.of(["*"]))
BEN, BENS = Key.create("ben", Scopes.of(["*"]))
KEYS = {key.name: {"id": key.id, "sha256": key.sha256, "scopes": ["*"]} for key in (ANN, BEN)}


async def test_abandoned_sessions_are_bounded_for_each_key_and_closed_after_a_while(
    probe: Installed, tmp_path: Path
) -> None:
    """F-37 and F-14: one key opens and forgets, another one has room, and soon nothing is left."""
    settings = {"keys": KEYS, "server": {"session_idle_timeout": 2}, "limits": {"sessions_per_key": 40}}
    with serving(tmp_path, probe, settings=settings) as hub:
        async with bearing(hub, ANNS) as abandoning, bearing(hub, BENS) as other:
            watcher = Streamable(other, "/mcp", {})
            async with legacy(other), sse(other):  # the first ones start what stays
                await call(watcher, "probe_echo", {"payload": "first"})
            before = await inside(watcher)
            statuses = [(await abandon(abandoning)).status_code for _ in range(60)]
            refused = await abandon(abandoning)
            async with abandoning.stream("GET", "/probe/sse") as stream:
                assert (stream.status_code, stream.headers["retry-after"]) == (429, "5")
            async with legacy(other) as theirs:
                assert await call(theirs, "probe_echo", {"payload": "room"}) == "room"
            assert (statuses.count(200), statuses.count(429)) == (40, 20)
            assert refused.headers["retry-after"] == "5"
            await settled(watcher, before)
            assert (await abandon(abandoning)).status_code == 200


async def abandon(http: httpx.AsyncClient) -> httpx.Response:
    """Open a session over `/mcp` and forget it."""
    return await http.post("/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT)


@asynccontextmanager
async def bearing(hub: HubProcess, key: str) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(hub.url) as http:
        http.headers["authorization"] = f"Bearer {key}"
        yield http
