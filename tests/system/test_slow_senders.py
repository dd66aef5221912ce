"""Clients that send a byte now and then, or no HTTP at all: they are hung up on, and nobody else notices."""

import json
import time
from collections.abc import Generator

import anyio
import pytest
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.raw import exchange, parse
from tests.system.wire import call, connected

WITHIN = 1.0
"""Seconds for a head, and again for a body; 30 where nobody has set them."""
SOME = 40

HEAD = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n"
ENTRANCES = (b"/mcp", b"/probe/mcp", b"/messages/?session_id=%032d" % 0, b"/nowhere")


@pytest.fixture(scope="module")
def patient_hub(probe: Installed, tmp_path_factory: pytest.TempPathFactory) -> Generator[HubProcess]:
    settings = {"server": {"head_timeout": WITHIN, "body_timeout": WITHIN}}
    with serving(tmp_path_factory.mktemp("patient"), probe, settings=settings) as hub:
        yield hub


async def drip(port: int, at_once: bytes, slowly: bytes) -> tuple[float, int]:
    """Send the beginning at once and the rest byte by byte; the seconds until the hub hung up, and what it said."""
    received, start = b"", time.monotonic()
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        await stream.send(at_once)
        async with anyio.create_task_group() as tasks:

            async def sending() -> None:
                for byte in slowly:
                    try:
                        await stream.send(bytes([byte]))
                    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                        return
                    await anyio.sleep(WITHIN / 5)

            tasks.start_soon(sending)
            try:
                while True:
                    received += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                tasks.cancel_scope.cancel()
    return time.monotonic() - start, parse(received)[0]


async def test_whoever_sends_a_byte_now_and_then_is_hung_up_on(patient_hub: HubProcess) -> None:
    """F-20: in a head, in a body, and in silence; and calls of others take no longer meanwhile."""
    ends: list[tuple[str, float, int]] = []
    took: list[float] = []

    async def slow(kind: str, at_once: bytes, slowly: bytes) -> None:
        ends.append((kind, *await drip(patient_hub.port, at_once, slowly)))

    with anyio.fail_after(30):
        async with connected("modern", patient_hub.url) as peer, anyio.create_task_group() as tasks:
            for number in range(SOME):
                head = HEAD % ENTRANCES[number % len(ENTRANCES)]
                tasks.start_soon(slow, "head", head[:20], head[20:] * 4)
                tasks.start_soon(slow, "body", HEAD % b"/mcp" + b"\r\n", b"{" * 400)
                tasks.start_soon(slow, "silence", b"", b"")
            while len(ends) < 3 * SOME:
                start = time.monotonic()
                assert await call(peer, "probe_echo", {"payload": "x"}) == "x"
                took.append(time.monotonic() - start)
                await anyio.sleep(0.02)

    seconds = {kind: max(end for one, end, _ in ends if one == kind) for kind in ("head", "body", "silence")}
    assert {status for kind, _, status in ends if kind == "body"} == {408}
    assert {status for kind, _, status in ends if kind != "body"} == {0}
    assert min(end for _, end, _ in ends) >= WITHIN * 0.9
    # A body that was refused has as long to end as a head has, so that the refusal is not lost.
    assert max(seconds["head"], seconds["silence"], seconds["body"] - WITHIN) < WITHIN + 2, seconds
    assert sorted(took)[len(took) // 2] < 0.25


async def test_strangers_cannot_fill_the_log(patient_hub: HubProcess) -> None:
    """S-24: no line for each request that is no HTTP, or asks for another protocol."""
    upgrade = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    statuses: list[int] = []
    for _ in range(50):
        statuses.append((await exchange(patient_hub.port, b"\x16\x03\x01 this is TLS\r\n\r\n"))[0])
        status, body = await exchange(patient_hub.port, upgrade)
        assert (status, json.loads(body)["status"]) == (200, "ok")

    assert set(statuses) == {400}
    told = [json.loads(line)["event"] for line in patient_hub.log.text.splitlines() if '"uvicorn' in line]
    assert told == ["Invalid HTTP request received.", "A request for another protocol was answered in HTTP/1.1."]
