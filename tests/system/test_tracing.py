"""Traces: one span for each call, with the conventions' attributes and the hub's own, in the caller's trace."""

import time
from collections.abc import Generator
from pathlib import Path

import anyio.to_thread
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.system.collector import Collected, collecting, values
from tests.system.installed import Installed
from tests.system.processes import HubProcess, serving
from tests.system.wire import OPENERS, Era, Json, SseSession, Streamable, call, client, envelope, rpc

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(scope="module")
def collected() -> Generator[Collected]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced_hub(
    probe: Installed, collected: Collected, tmp_path_factory: pytest.TempPathFactory
) -> Generator[HubProcess]:
    settings = {"telemetry": {"otlp_endpoint": collected.url, "service_name": "the hub"}}
    environ = {"OTEL_BSP_SCHEDULE_DELAY": "200"}
    with serving(tmp_path_factory.mktemp("traced"), probe, settings=settings, environ=environ) as hub:
        yield hub


async def span_of(collected: Collected, trace: str, tool: str) -> tuple[Span, Json]:
    """The server's span of a call of `tool` in a trace."""

    def wanted(span: Span) -> bool:
        return span.trace_id.hex() == trace and values(span.attributes).get("gen_ai.tool.name") == tool

    return await anyio.to_thread.run_sync(lambda: collected.span(wanted))


def trace(number: int) -> tuple[str, str]:
    """A trace id, and a `traceparent` in it."""
    made = f"{number:032x}"
    return made, f"00-{made}-{PARENT}-01"


@pytest.mark.parametrize(("number", "era"), [(1, "sse"), (2, "legacy"), (3, "modern")])
async def test_a_call_is_a_span_under_the_parent_of_meta(
    traced_hub: HubProcess, collected: Collected, number: int, era: Era
) -> None:
    trace_id, parent = trace(number)
    async with client(traced_hub.url) as http, OPENERS[era](http, "/probe") as peer:
        params: Json = {"name": "probe_echo", "arguments": {"payload": "x"}, "_meta": {"traceparent": parent}}
        await peer.request("tools/call", params)
    span, resource = await span_of(collected, trace_id, "probe_echo")
    attributes = values(span.attributes)
    assert span.parent_span_id.hex() == PARENT
    assert span.kind == Span.SPAN_KIND_SERVER
    assert attributes["mcp.method.name"] == "tools/call"
    assert attributes["pegboard.plugin"] == "probe"
    assert attributes["pegboard.endpoint"] == "probe"
    assert attributes["pegboard.environment"] == "default"
    assert resource["service.name"] == "the hub"


@pytest.mark.parametrize(("number", "era"), [(11, "sse"), (12, "legacy"), (13, "modern")])
async def test_a_call_is_a_span_under_the_parent_of_the_header(
    traced_hub: HubProcess, collected: Collected, number: int, era: Era
) -> None:
    trace_id, parent = trace(number)
    params: Json = {"name": "probe_typed", "arguments": {"count": 1, "names": []}}
    async with client(traced_hub.url) as http, OPENERS[era](http) as peer:
        headers, url = {}, "/mcp"
        if era == "modern":
            params, headers = envelope("tools/call", params)
        elif isinstance(peer, Streamable):
            headers = peer.headers
        elif isinstance(peer, SseSession):
            url = peer.url
        await http.post(url, json=rpc("tools/call", params, 50), headers={**headers, "traceparent": parent})
        if isinstance(peer, SseSession):
            await peer.answer(50)
    span, _ = await span_of(collected, trace_id, "probe_typed")
    assert span.parent_span_id.hex() == PARENT
    assert values(span.attributes)["pegboard.endpoint"] == "all"


async def test_meta_wins_over_the_header(traced_hub: HubProcess, collected: Collected) -> None:
    (mine, parent), (_, other) = trace(21), trace(22)
    given: Json = {"name": "probe_echo", "arguments": {"payload": "x"}, "_meta": {"traceparent": parent}}
    params, headers = envelope("tools/call", given)
    async with client(traced_hub.url) as http:
        await http.post("/mcp", json=rpc("tools/call", params, 1), headers={**headers, "traceparent": other})
    span, _ = await span_of(collected, mine, "probe_echo")
    assert span.parent_span_id.hex() == PARENT


async def test_a_crash_has_its_reference_in_the_span(traced_hub: HubProcess, collected: Collected) -> None:
    trace_id, parent = trace(31)
    async with client(traced_hub.url) as http, OPENERS["modern"](http) as peer:
        params: Json = {"name": "probe_crash", "arguments": {"kind": "error"}, "_meta": {"traceparent": parent}}
        answer = await peer.request("tools/call", params)
    span, _ = await span_of(collected, trace_id, "probe_crash")
    assert values(span.attributes)["pegboard.ref"] in answer["result"]["content"][0]["text"]
    assert b"hunter2" not in span.SerializeToString()


async def test_spans_of_the_last_calls_are_sent_before_the_end(probe: Installed, tmp_path: Path) -> None:
    trace_id, parent = trace(41)
    with collecting() as collected:
        settings = {"telemetry": {"otlp_endpoint": collected.url}}
        environ = {"OTEL_BSP_SCHEDULE_DELAY": "600000"}
        with serving(tmp_path, probe, settings=settings, environ=environ) as hub:
            async with client(hub.url) as http, OPENERS["modern"](http) as peer:
                params: Json = {"name": "probe_echo", "arguments": {"payload": "x"}, "_meta": {"traceparent": parent}}
                await peer.request("tools/call", params)
            hub.process.terminate()
            assert await hub.ended() == 0
        await span_of(collected, trace_id, "probe_echo")


async def test_a_collector_that_is_gone_harms_nobody(probe: Installed, tmp_path: Path) -> None:
    with collecting() as collected:
        gone = collected.url
    settings = {"telemetry": {"otlp_endpoint": gone}}
    with serving(tmp_path, probe, settings=settings, environ={"OTEL_BSP_SCHEDULE_DELAY": "100"}) as hub:
        async with client(hub.url) as http, OPENERS["modern"](http) as peer:
            for number in range(20):
                assert await call(peer, "probe_echo", {"payload": str(number)}) == str(number)
        began = time.monotonic()
        hub.process.terminate()
        assert await hub.ended(15) == 0
        assert time.monotonic() - began < 4  # 2 s for the spans, the rest is the end of everything else
