"""Spans: one for each message, in its sender's trace, with the conventions' attributes and no texts of errors."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mcp.server.context import HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import TypeAdapter

from pegboard import spans

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "TRACER", provider.get_tracer("test"))
    return exporter


def message(method: str = "tools/call", **more: Any) -> ServerRequestContext[Any, Any]:
    given = {"params": {"name": "echo"}, "request_id": 7, "meta": None, "protocol_version": "2026-07-28", **more}
    return cast(ServerRequestContext[Any, Any], SimpleNamespace(method=method, **given))


async def served(
    exported: InMemorySpanExporter,
    context: ServerRequestContext[Any, Any],
    handler: Callable[[], HandlerResult] = dict[str, Any],
) -> ReadableSpan:
    async def call_next(_: ServerRequestContext[Any, Any]) -> HandlerResult:
        return handler()

    await spans.span_of_message(context, call_next)
    return exported.get_finished_spans()[0]


async def failed(exported: InMemorySpanExporter, error: Exception) -> ReadableSpan:
    def fail() -> HandlerResult:
        raise error

    with pytest.raises(type(error)):
        await served(exported, message(), fail)
    return exported.get_finished_spans()[0]


async def test_a_call_is_named_after_its_tool(exported: InMemorySpanExporter) -> None:
    span = await served(exported, message())

    assert (span.name, span.kind) == ("tools/call echo", trace.SpanKind.SERVER)
    assert dict(span.attributes or {}) == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "jsonrpc.request.id": "7",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "echo",
    }
    assert span.status.status_code == trace.StatusCode.UNSET


async def test_a_prompt_and_a_notification_have_their_own_attributes(exported: InMemorySpanExporter) -> None:
    prompt = await served(exported, message("prompts/get"))
    exported.clear()
    notification = await served(exported, message("notifications/initialized", params=None, request_id=None))

    assert (prompt.attributes or {})["gen_ai.prompt.name"] == "echo"
    assert (notification.name, set(notification.attributes or {})) == (
        "notifications/initialized",
        {"mcp.method.name", "mcp.protocol.version"},
    )


@pytest.mark.parametrize("meta", [{"progressToken": 1}, {}, None])
async def test_it_is_in_the_trace_of_whoever_called(exported: InMemorySpanExporter, meta: Any) -> None:
    parent = trace.NonRecordingSpan(trace.SpanContext(int(TRACE, 16), 5, True, trace.TraceFlags(1)))
    with trace.use_span(parent):
        span = await served(exported, message(meta=meta))

    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE


async def test_the_trace_in_meta_wins(exported: InMemorySpanExporter) -> None:
    parent = trace.NonRecordingSpan(trace.SpanContext(99, 5, True, trace.TraceFlags(1)))
    with trace.use_span(parent):
        span = await served(exported, message(meta={"traceparent": TRACEPARENT, "progressToken": 1}))

    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == TRACE


async def test_what_runs_inside_sees_the_span(exported: InMemorySpanExporter) -> None:
    seen: list[trace.Span] = []

    def handler() -> HandlerResult:
        seen.append(trace.get_current_span())
        return None

    span = await served(exported, message(), handler)

    assert seen[0].get_span_context() == span.context
    assert not trace.get_current_span().get_span_context().is_valid


async def test_an_error_of_a_tool_is_one(exported: InMemorySpanExporter) -> None:
    span = await served(exported, message(), lambda: {"isError": True})

    assert span.status.status_code == trace.StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "tool_error"


@pytest.mark.parametrize(
    ("error", "kind"),
    [(MCPError(-32602, "hunter2"), "-32602"), (KeyError("hunter2"), "KeyError")],
)
async def test_an_error_is_named_and_its_text_is_not(
    exported: InMemorySpanExporter, error: Exception, kind: str
) -> None:
    span = await failed(exported, error)

    assert (span.attributes or {})["error.type"] == kind
    assert "hunter2" not in span.to_json()


async def test_params_that_do_not_fit_are_an_error_of_the_client(exported: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="hunter2") as caught:
        TypeAdapter(int).validate_python("hunter2")

    span = await failed(exported, caught.value)

    assert (span.attributes or {})["rpc.response.status_code"] == "-32602"
    assert "hunter2" not in span.to_json()


async def test_nothing_is_set_where_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "TRACER", trace.NoOpTracer())

    async def fail(_: ServerRequestContext[Any, Any]) -> HandlerResult:
        return {"isError": True}

    assert await spans.span_of_message(message(), fail) == {"isError": True}
