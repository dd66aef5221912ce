"""Many clients at once: nobody gets another's answer, and nothing is left of them afterwards."""

import json
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.wire import ACCEPT, OPENERS, Era, Json, Peer, call, client, connected, hello, inside, legacy, rpc, sse

SESSIONS = 200
CALLS = 25
"""Of each session; 5 000 together."""

MIB = 1024 * 1024
ROOM = 10 * 1024 * 1024
"""What the memory may have grown by: the plateau an allocator reaches, not a leak."""


async def settled(peer: Peer, before: Json, *, within: float = 10) -> Json:
    """What is inside the process, once tasks and descriptors are where they were; fails if they never are."""
    now = await inside(peer)
    with anyio.move_on_after(within):
        while now["tasks"] > before["tasks"] or now["descriptors"] > before["descriptors"]:
            await anyio.sleep(0.1)  # there is no event for what is not there any more
            now = await inside(peer)
    assert now["tasks"] <= before["tasks"], (before, now)
    assert now["descriptors"] <= before["descriptors"], (before, now)
    return now


async def test_two_hundred_sse_sessions_and_five_thousand_calls(probe: Installed, tmp_path: Path) -> None:
    """S-07, F-13 and D-1: the same ids in all of them, and each answer is the session's own."""
    wrong: list[Any] = []
    with serving(tmp_path, probe) as hub:
        async with client(hub.url) as http, connected("modern", hub.url) as watcher:
            await http.get("/health")
            during = before = await warmed(watcher, hub.url)
            ready, go = anyio.Semaphore(0), anyio.Event()

            async def one(number: int) -> None:
                async with client(hub.url) as own, sse(own) as session:
                    ready.release()
                    await go.wait()
                    for request_id in range(1, CALLS + 1):
                        payload = f"session {number} call {request_id}"
                        answer = await call(session, "probe_echo", {"payload": payload}, request_id=request_id + 10)
                        if answer != payload:
                            wrong.append((payload, answer))
                    wrong.extend(session.unclaimed())

            async with anyio.create_task_group() as tasks:
                for number in range(SESSIONS):
                    tasks.start_soon(one, number)
                with anyio.fail_after(60):
                    for _ in range(SESSIONS):
                        await ready.acquire()
                during = await inside(watcher)
                go.set()
            assert wrong == []
            assert during["lifespans"] == 1
            assert during["descriptors"] >= before["descriptors"] + SESSIONS
            after = await settled(watcher, before)
            assert (await http.get("/ready")).status_code == 200
    assert after["lifespans"] == 1
    assert "Traceback" not in hub.log.text


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
async def test_clients_that_come_and_go_leave_nothing(shared_hub: HubProcess, era: Era) -> None:
    """F-36: connect, call, leave; the first ones fill caches, so what counts is the rest."""
    async with connected("modern", shared_hub.url) as watcher:

        async def come_and_go(times: int) -> None:
            for number in range(times):
                async with connected(era, shared_hub.url) as peer:
                    assert await call(peer, "probe_echo", {"payload": str(number)}) == str(number)

        await come_and_go(10)
        before = await inside(watcher)
        await come_and_go(60)
        after = await settled(watcher, before)
    assert after["memory"] < before["memory"] + ROOM


async def test_a_full_hub_turns_one_more_away(probe: Installed, tmp_path: Path) -> None:
    """F-14 and D-5: SSE sessions over all endpoints, and sessions of `/mcp`."""
    with serving(tmp_path, probe, settings={"server": {"max_sessions": 3}}) as hub:
        async with client(hub.url) as http:
            async with sse(http) as one, sse(http, "/probe"), sse(http, "/hub"):
                await refused(await http.get("/sse"))
                assert await call(one, "probe_echo", {"payload": "unaffected"}) == "unaffected"
            await eventually_opens(http)

            async with legacy(http) as first, legacy(http), legacy(http):
                await refused(await http.post("/mcp", json=rpc("initialize", hello(), 1), headers=ACCEPT))
                assert await call(first, "probe_echo", {"payload": "unaffected"}) == "unaffected"
            async with legacy(http) as again:
                assert await call(again, "probe_echo", {"payload": "room"}) == "room"


async def test_a_session_may_have_so_many_calls_unanswered(probe: Installed, tmp_path: Path) -> None:
    """F-15: the next one is refused, the others are answered, and then there is room again."""
    with serving(tmp_path, probe, settings={"server": {"max_calls_per_session": 4}}) as hub:
        async with client(hub.url) as http, sse(http) as session, connected("modern", hub.url) as watcher:
            for number in range(4):
                params = {"name": "probe_hold", "arguments": {"tag": f"held {number}"}}
                await session.post(rpc("tools/call", params, 50 + number))
            for number in range(4):
                await call(watcher, "probe_until", {"tag": f"held {number}", "state": "started"})
            answer = await session.request("tools/list", request_id=60)
            assert "4 requests of this session are in flight" in answer["error"]["message"]
            for number in range(4):
                await call(watcher, "probe_release", {"tag": f"held {number}"})
                assert "result" in await session.answer(50 + number)
            assert "result" in await session.request("tools/list", request_id=60)


async def test_a_reader_that_stopped_is_dropped(probe: Installed, tmp_path: Path) -> None:
    """F-15: 260 answers of 1 MiB do not pile up, the others go on, and the session ends."""
    limits = {"server": {"stalled_timeout": 2}, "results": {"tokens": 1_000_000, "bytes": 2 * MIB}}
    with serving(tmp_path, probe, settings=limits) as hub:
        async with client(hub.url) as http, connected("modern", hub.url) as watcher:
            await http.get("/health")
            before = await warmed(watcher, hub.url)
            async with await anyio.connect_tcp("127.0.0.1", hub.port) as stream:
                target = await session_of(stream)
                await http.post(target, json=rpc("initialize", hello("2024-11-05"), 1))
                await http.post(target, json=rpc("notifications/initialized"))
                params = {"name": "probe_long", "arguments": {"size": MIB}}
                answers = [await http.post(target, json=rpc("tools/call", params, 10 + n)) for n in range(260)]
                during = await inside(watcher)
                assert answers[0].status_code == 202
                assert answers[-1].status_code == 429
                assert "unanswered" in answers[-1].text
                assert await call(watcher, "probe_echo", {"payload": "quick"}) == "quick"
                with anyio.fail_after(20):
                    while (await http.post(target, json=rpc("ping", None, 5))).status_code != 404:
                        await anyio.sleep(0.1)  # it ends when the time of the reader is over
            await settled(watcher, before)
    assert during["memory"] < before["memory"] + 50 * MIB


async def session_of(stream: anyio.abc.SocketStream) -> str:
    """Open an SSE session by hand, and read no further than where to post."""
    await stream.send(b"GET /sse HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    head = b""
    while b"session_id=" not in head or not head.endswith(b"\r\n\r\n"):
        head += await stream.receive()
    return "/messages/?session_id=" + head.decode().partition("session_id=")[2].split()[0]


async def warmed(watcher: Peer, url: str) -> Json:
    """What is inside the process, after one client of each era; the first ones start what stays."""
    for era in OPENERS:
        async with connected(era, url) as peer:
            await call(peer, "probe_echo", {"payload": "first"})
    return await inside(watcher)


async def refused(response: httpx.Response) -> None:
    assert response.status_code == 503, response.text
    assert int(response.headers["retry-after"]) > 0
    assert "sessions" in json.dumps(response.json())


async def eventually_opens(http: httpx.AsyncClient) -> None:
    """A session can be opened again soon after others were closed."""
    with anyio.fail_after(5):
        while True:
            async with http.stream("GET", "/sse") as response:
                if response.status_code == 200:
                    return
            await anyio.sleep(0.05)  # there is no event for what is not there any more
