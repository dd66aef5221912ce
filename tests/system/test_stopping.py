"""Stopping: every answer in flight is given, what is idle does not hold the hub up, and it comes back at once."""

import json
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx
import psutil
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.wire import (
    ACCEPT,
    OPENERS,
    Json,
    Peer,
    call,
    client,
    connected,
    envelope,
    events,
    hello,
    inside,
    legacy,
    rpc,
    sse,
)

BUSY = 2.0
"""How long the calls in flight take."""

SLACK = 2.0
"""What the exit may take on top, on a machine with other work."""


@pytest.fixture
async def hub(probe: Installed, tmp_path: Path) -> AsyncGenerator[HubProcess]:
    with serving(tmp_path, probe) as started:
        yield started


async def test_every_answer_in_flight_is_given(hub: HubProcess) -> None:
    """F-21: calls on three transports, three on each, and the hub stops before they are done."""
    answers: dict[str, str] = {}
    tags = [f"{era} {number}" for era in OPENERS for number in range(3)]
    began = time.monotonic()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(client(hub.url))
        peers: dict[str, Peer] = {era: await stack.enter_async_context(opener(http)) for era, opener in OPENERS.items()}
        watcher = await stack.enter_async_context(connected("modern", hub.url))
        async with anyio.create_task_group() as tasks:

            async def ask(peer: Peer, tag: str) -> None:
                answers[tag] = await call(peer, "probe_wait", {"tag": tag, "seconds": BUSY})

            for tag in tags:
                tasks.start_soon(ask, peers[tag.partition(" ")[0]], tag)
            for tag in tags:
                await call(watcher, "probe_until", {"tag": tag, "state": "started"})
            began = time.monotonic()
            hub.signal(signal.SIGTERM)
            await hub.said("draining: 9 calls in flight")
            assert await unready(http)
        assert await hub.ended() == 0
    assert answers == {tag: tag for tag in tags}
    assert time.monotonic() - began < BUSY + SLACK
    assert "Traceback" not in hub.log.wait_for_end()


async def test_new_work_is_turned_away_while_it_drains(hub: HubProcess) -> None:
    async with (
        client(hub.url) as http,
        sse(http) as session,
        legacy(http) as peer,
        connected("modern", hub.url) as last,
    ):
        await session.post(rpc("tools/call", {"name": "probe_hold", "arguments": {"tag": "held"}}, 50))
        await call(last, "probe_until", {"tag": "held", "state": "started"})
        hub.signal(signal.SIGTERM)
        await hub.said("draining: 1 calls in flight")

        assert "shutting down" in (await session.request("tools/list"))["error"]["message"]
        assert "shutting down" in (await peer.request("tools/list"))["error"]["message"]
        assert "shutting down" in (await last.request("tools/list"))["error"]["message"]
        for method, path, body in (("GET", "/sse", None), ("POST", "/mcp", rpc("initialize", hello(), 1))):
            refused = await http.request(method, path, json=body, headers=ACCEPT)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
        assert (await http.get("/health")).status_code == 200

        await session.notify("notifications/cancelled", {"requestId": 50})
        assert await hub.ended() == 0


async def test_a_question_to_the_user_can_be_answered_while_it_drains(conformance: HubProcess) -> None:
    """The answer to an elicitation is no new work: a call in flight waits for it."""
    async with client(conformance.url) as http:
        opening = rpc("initialize", {**hello(), "capabilities": {"elicitation": {}}}, 1)
        opened = await http.post("/mcp", json=opening, headers=ACCEPT)
        headers = {**ACCEPT, "Mcp-Session-Id": opened.headers["mcp-session-id"]}
        await http.post("/mcp", json=rpc("notifications/initialized"), headers=headers)
        asked = rpc("tools/call", {"name": "test_elicitation", "arguments": {"message": "Who?"}}, 1)
        async with http.stream("POST", "/mcp", json=asked, headers=headers) as response:
            arriving = events(response)
            question = json.loads((await anext(arriving))[1])
            assert question["method"] == "elicitation/create"
            conformance.signal(signal.SIGTERM)
            await conformance.said("draining: 1 calls in flight")
            reply = {
                "jsonrpc": "2.0",
                "id": question["id"],
                "result": {"action": "accept", "content": {"username": "u"}},
            }
            assert (await http.post("/mcp", json=reply, headers=headers)).status_code == 202
            answer = json.loads((await anext(arriving))[1])
        assert "accept" in answer["result"]["content"][0]["text"]
        assert await conformance.ended() == 0


async def test_idle_streams_do_not_hold_it_up(hub: HubProcess) -> None:
    """F-22, D-3: an idle `subscriptions/listen`, an idle SSE session and the GET stream of a `/mcp` session."""
    params, headers = envelope("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    async with client(hub.url) as http, sse(http) as session, legacy(http) as peer:
        async with (
            http.stream("POST", "/mcp", json=rpc("subscriptions/listen", params, 1), headers=headers) as listening,
            http.stream("GET", "/mcp", headers=peer.headers) as getting,
        ):
            heard = events(listening)
            assert "acknowledged" in (await anext(heard))[1]
            assert getting.status_code == 200

            began = time.monotonic()
            hub.signal(signal.SIGTERM)
            assert await hub.ended() == 0
            assert time.monotonic() - began < SLACK

            rest = [json.loads(data) async for _, data in heard]
            assert [message["id"] for message in rest if "result" in message] == [1]
            await session.closed.wait()
    assert "Traceback" not in hub.log.wait_for_end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_hub_stops_at_once(hub: HubProcess, number: signal.Signals) -> None:
    began = time.monotonic()
    hub.signal(number)
    assert await hub.ended() == 0
    assert time.monotonic() - began < SLACK
    assert "Traceback" not in hub.log.wait_for_end()


async def test_a_second_signal_stops_it_at_once(hub: HubProcess) -> None:
    """F-23."""
    async with connected("sse", hub.url) as peer, connected("modern", hub.url) as watcher:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                with pytest.raises(AssertionError):
                    await peer.request("tools/call", {"name": "probe_hold", "arguments": {"tag": "lost"}})

            tasks.start_soon(ask)
            await call(watcher, "probe_until", {"tag": "lost", "state": "started"})
            hub.signal(signal.SIGTERM)
            await hub.said("draining")
            began = time.monotonic()
            hub.signal(signal.SIGTERM)
            assert await hub.ended() == 128 + signal.SIGTERM
            assert time.monotonic() - began < 1


@pytest.mark.parametrize("workers", [1, 2])
async def test_it_goes_on_for_a_while_where_balancers_have_to_see_first(
    probe: Installed, tmp_path: Path, workers: int
) -> None:
    """F-23, F-25: not ready any more, but open to everybody, old and new, until a second signal."""
    with serving(tmp_path, probe, settings={"server": {"drain_delay": 60, "workers": workers}}) as hub:
        async with client(hub.url) as http, sse(http) as session:
            hub.signal(signal.SIGTERM)
            await hub.said("(?s)" + "leaving: not ready any more.*" * workers)
            assert await unready(http)
            assert await call(session, "probe_echo", {"payload": "old"}) == "old"
            for opener in OPENERS.values():
                async with opener(http) as peer:
                    assert await call(peer, "probe_echo", {"payload": "new"}) == "new"
        began = time.monotonic()
        hub.signal(signal.SIGTERM)
        assert await hub.ended() == 128 + signal.SIGTERM
        assert time.monotonic() - began < 1
        assert "draining" not in hub.log.wait_for_end()


async def test_calls_that_do_not_end_are_cut_off_after_the_grace_time(probe: Installed, tmp_path: Path) -> None:
    with serving(tmp_path, probe, settings={"server": {"grace": 0.5}}) as hub:
        async with client(hub.url) as http, sse(http) as session, connected("modern", hub.url) as watcher:
            await session.post(rpc("tools/call", {"name": "probe_hold", "arguments": {"tag": "endless"}}, 50))
            await call(watcher, "probe_until", {"tag": "endless", "state": "started"})
            began = time.monotonic()
            hub.signal(signal.SIGTERM)
            assert await hub.ended() == 0
            assert 0.5 < time.monotonic() - began < 0.5 + SLACK


async def test_after_a_kill_it_is_back_within_three_seconds(probe: Installed, tmp_path: Path) -> None:
    """F-24: on the same port. Counted in the time it worked, since a busy machine may take longer."""
    with serving(tmp_path, probe) as hub:
        port = hub.port
        async with connected("sse", hub.url) as peer:
            await call(peer, "probe_echo", {"payload": "before"})
            os.kill(hub.pid, signal.SIGKILL)
            assert await hub.ended() == -signal.SIGKILL
    with serving(tmp_path, probe, settings={"server": {"port": port}}) as again:
        async with connected("sse", again.url) as peer:
            assert await call(peer, "probe_echo", {"payload": "after"}) == "after"
        worked = psutil.Process(again.pid).cpu_times()
        assert worked.user + worked.system < 3
        async with connected("modern", again.url) as peer:
            assert (await inside(peer))["lifespans"] == 1


async def unready(http: httpx.AsyncClient) -> Json:
    """The reasons why the hub is not ready; fails if it is."""
    response = await http.get("/ready")
    assert response.status_code == 503
    assert response.json()["reasons"] == ["the hub is shutting down"]
    return response.json()
