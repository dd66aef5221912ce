"""Spans: one for each message, by OpenTelemetry's semantic conventions for MCP, in the trace of whoever sent it."""

from collections.abc import Mapping
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from opentelemetry import context as trace_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, StatusCode
from pydantic import ValidationError

TRACER = trace.get_tracer("pegboard")
CARRIED = ("traceparent", "baggage")
"""What in the `_meta` of a message says which trace it belongs to."""


async def span_of_message(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Serve one message within its span: the same one as the SDK's, at half its price.

    Texts of errors stay out of it, since they may hold what a client or a backend has sent.
    """
    parent = _parent(ctx.meta)
    span = TRACER.start_span(_name(ctx), parent, SpanKind.SERVER, _attributes(ctx))
    token = trace_context.attach(trace.set_span_in_context(span, parent))
    try:
        result = await call_next(ctx)
        if isinstance(result, dict) and result.get("isError") is True:
            _fail(span, "tool_error")
        return result
    except MCPError as error:
        _fail(span, str(error.error.code))
        raise
    except ValidationError:
        _fail(span, str(INVALID_PARAMS))
        raise
    except Exception as error:
        _fail(span, type(error).__qualname__)
        raise
    finally:
        trace_context.detach(token)
        span.end()


def _parent(meta: Mapping[str, Any] | None) -> Context:
    """The trace that `_meta` names, else the one the transport has found in a header."""
    if meta is None or not any(key in meta for key in CARRIED):
        return trace_context.get_current()
    return extract({key: value for key, value in meta.items() if isinstance(value, str)})


def _name(context: ServerRequestContext[Any, Any]) -> str:
    target = _target(context)
    return f"{context.method} {target}" if target else context.method


def _target(context: ServerRequestContext[Any, Any]) -> str | None:
    name = context.params.get("name") if context.params else None
    return name if isinstance(name, str) else None


def _attributes(context: ServerRequestContext[Any, Any]) -> dict[str, str]:
    attributes = {"mcp.method.name": context.method, "mcp.protocol.version": context.protocol_version}
    if context.request_id is not None:
        attributes["jsonrpc.request.id"] = str(context.request_id)
    target = _target(context)
    if context.method == "tools/call":
        attributes["gen_ai.operation.name"] = "execute_tool"
    if target is not None and context.method in NAMED:
        attributes[NAMED[context.method]] = target
    return attributes


NAMED = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}
"""What the name in the parameters of a method is called in its span."""


def _fail(span: Span, kind: str) -> None:
    if span.is_recording():
        span.set_attributes({"error.type": kind, **({"rpc.response.status_code": kind} if kind[0] == "-" else {})})
        span.set_status(StatusCode.ERROR)
