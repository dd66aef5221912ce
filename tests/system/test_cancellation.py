"""Giving up: whoever does it, and however, the tool is cancelled within a second, and only that one."""

import json
from collections.abc import AsyncGenerator

import anyio
import httpx
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.wire import (
    OPENERS,
    Era,
    Json,
    Peer,
    answer_of,
    call,
    client,
    connected,
    envelope,
    inside,
    legacy,
    rpc,
    sse,
)

INVALID_REQUEST = -32600
SOON = 1.0
"""Seconds in which a cancelled tool has to notice."""


@pytest.fixture
async def http(shared_hub: HubProcess) -> AsyncGenerator[httpx.AsyncClient]:
    async with client(shared_hub.url) as opened:
        yield opened


@pytest.fixture
async def watcher(shared_hub: HubProcess) -> AsyncGenerator[Peer]:
    """A second client, which sees what becomes of the first one's calls."""
    async with connected("modern", shared_hub.url) as peer:
        yield peer


async def cancelled(watcher: Peer, tag: str) -> None:
    """Wait until the call with this tag is cancelled."""
    with anyio.fail_after(SOON):
        await call(watcher, "probe_until", {"tag": tag, "state": "cancelled"})


async def started(watcher: Peer, tag: str) -> None:
    await call(watcher, "probe_until", {"tag": tag, "state": "started"})


def hold(tag: str, request_id: int | str = 5, meta: Json | None = None) -> Json:
    params: Json = {"name": "probe_hold", "arguments": {"tag": tag}}
    return rpc("tools/call", params | ({"_meta": meta} if meta else {}), request_id)


async def test_closing_the_stream_cancels_over_sse(http: httpx.AsyncClient, watcher: Peer) -> None:
    """F-11."""
    async with sse(http) as session:
        await session.post(hold("sse left"))
        await started(watcher, "sse left")
    await cancelled(watcher, "sse left")


async def test_closing_the_response_cancels_on_2026_07_28(http: httpx.AsyncClient, watcher: Peer) -> None:
    """F-11, and F-12: nothing else cancels in this era."""
    params, headers = envelope("tools/call", {"name": "probe_hold", "arguments": {"tag": "modern left"}})
    async with anyio.create_task_group() as tasks:

        async def hang_on() -> None:
            await http.post("/mcp", json=rpc("tools/call", params, 1), headers=headers)

        tasks.start_soon(hang_on)
        await started(watcher, "modern left")
        tasks.cancel_scope.cancel()
    await cancelled(watcher, "modern left")


@pytest.mark.parametrize("era", ["sse", "legacy"])
async def test_a_notification_cancels_that_call_only(http: httpx.AsyncClient, watcher: Peer, era: Era) -> None:
    """F-12."""
    kept: list[Json] = []
    async with OPENERS[era](http) as peer, anyio.create_task_group() as tasks:

        async def ask(tag: str, request_id: int) -> None:
            params = {"name": "probe_hold", "arguments": {"tag": tag}}
            kept.append(await peer.request("tools/call", params, request_id=request_id))

        async def ask_in_vain() -> None:
            with anyio.move_on_after(SOON):
                await ask(f"{era} cancelled", 71)

        tasks.start_soon(ask_in_vain)
        tasks.start_soon(ask, f"{era} kept", 72)
        await started(watcher, f"{era} cancelled")
        await started(watcher, f"{era} kept")

        await peer.notify("notifications/cancelled", {"requestId": 71, "reason": "enough"})
        await cancelled(watcher, f"{era} cancelled")
        await call(watcher, "probe_release", {"tag": f"{era} kept"})
    answers = {answer["id"]: answer for answer in kept}
    assert answers[72]["result"]["content"][0]["text"] == f"{era} kept"
    if era == "legacy":  # its response has to end somehow
        assert answers[71]["error"]["message"] == "Request cancelled"
    else:
        assert 71 not in answers


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
async def test_the_deadline_of_a_request_cancels(http: httpx.AsyncClient, watcher: Peer, era: Era) -> None:
    async with OPENERS[era](http) as peer:
        params: Json = {"name": "probe_hold", "arguments": {"tag": f"{era} late"}, "_meta": {"pegboard/deadline": 0.2}}
        with anyio.fail_after(2):
            answer = await peer.request("tools/call", params)
    assert answer["result"]["isError"]
    assert "probe_hold did not finish in 0.2 s" in answer["result"]["content"][0]["text"]
    await cancelled(watcher, f"{era} late")


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
async def test_the_deadline_of_the_hub_cancels(
    probe: Installed, tmp_path_factory: pytest.TempPathFactory, era: Era
) -> None:
    settings = {"calls": {"deadline": 0.3, "max_deadline": 0.5}}
    with serving(tmp_path_factory.mktemp("late"), probe, settings=settings) as hub:
        async with connected(era, hub.url) as peer:
            with anyio.fail_after(3):
                answer = await peer.request(
                    "tools/call", {"name": "probe_until", "arguments": {"tag": "never", "state": "started"}}
                )
    assert "did not finish in 0.3 s" in answer["result"]["content"][0]["text"]


@pytest.mark.parametrize("era", ["sse", "legacy", "modern"])
async def test_progress_arrives_before_the_answer(http: httpx.AsyncClient, era: Era) -> None:
    async with OPENERS[era](http) as peer:
        params: Json = {"name": "probe_count_to", "arguments": {"total": 5}, "_meta": {"progressToken": "mine"}}
        answer = await peer.request("tools/call", params)
        assert answer["result"]["content"][0]["text"] == "counted to 5"
        notes = [note["params"] for note in peer.notes if note["method"] == "notifications/progress"]
    assert [note["progress"] for note in notes] == [1, 2, 3, 4, 5]
    assert {note["progressToken"] for note in notes} == {"mine"}
    assert notes[-1]["message"] == "step 5"


@pytest.mark.parametrize("ids", [(5, 5), ("five", "five"), (5, "5")])
async def test_an_id_in_flight_is_refused_over_sse(
    http: httpx.AsyncClient, watcher: Peer, ids: tuple[int | str, int | str]
) -> None:
    """F-18, D-7: the second is refused, the first is answered."""
    tag = f"sse twice {ids}"
    async with sse(http) as session:
        await session.post(hold(tag, ids[0]))
        await started(watcher, tag)
        refused = await session.request("tools/list", request_id=ids[1])
        assert refused["error"]["code"] == INVALID_REQUEST
        await call(watcher, "probe_release", {"tag": tag})
        assert (await session.answer(ids[0]))["result"]["content"][0]["text"] == tag
        again = await session.request("tools/list", request_id=ids[0])
        assert "result" in again


@pytest.mark.parametrize("ids", [(5, 5), ("five", "five"), (5, "5")])
async def test_an_id_in_flight_is_refused_in_a_session(
    http: httpx.AsyncClient, watcher: Peer, ids: tuple[int | str, int | str]
) -> None:
    """D-7, on `/mcp`."""
    tag = f"legacy twice {ids}"
    params: Json = {"name": "probe_hold", "arguments": {"tag": tag}}
    async with legacy(http) as peer, peer.open("tools/call", params, ids[0]) as first:
        await started(watcher, tag)
        refused = await peer.request("tools/list", request_id=ids[1])
        assert refused["error"]["code"] == INVALID_REQUEST
        await call(watcher, "probe_release", {"tag": tag})
        answer = await answer_of(first, [])
        assert answer["result"]["content"][0]["text"] == tag
        with anyio.fail_after(5):  # the hub hears that the answer has left a moment after the client has it
            while "result" not in await peer.request("tools/list", request_id=ids[0]):
                await anyio.sleep(0.01)


async def test_equal_ids_of_different_clients_have_nothing_to_do_with_each_other(
    http: httpx.AsyncClient, watcher: Peer
) -> None:
    async with sse(http) as one, sse(http) as other, legacy(http) as third:
        await one.post(hold("one", 9))
        await started(watcher, "one")
        assert await call(other, "probe_echo", {"payload": "b"}, request_id=9) == "b"
        assert await call(third, "probe_echo", {"payload": "c"}, request_id=9) == "c"
        await other.notify("notifications/cancelled", {"requestId": 9})
        await third.notify("notifications/cancelled", {"requestId": 9})
        await call(watcher, "probe_release", {"tag": "one"})
        assert (await one.answer(9))["result"]["content"][0]["text"] == "one"


async def test_nothing_is_left_of_cancelled_calls(shared_hub: HubProcess, watcher: Peer) -> None:
    states = (await inside(watcher))["states"]
    assert all(state[-1] != "started" for state in states.values()), json.dumps(states)
