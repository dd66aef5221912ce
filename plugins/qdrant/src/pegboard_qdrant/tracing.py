"""Spans with OpenTelemetry's database conventions; never the text of a query, never a value."""

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import trace

from pegboard_qdrant.target import Target

tracer = trace.get_tracer("pegboard_qdrant")


@contextmanager
def span(operation: str, target: Target) -> Generator[None]:
    """Trace what happens inside as a child of the call; an error leaves its class, not its text."""
    attributes: dict[str, str | int] = {"db.system.name": "qdrant", "db.operation.name": operation}
    if target.host:
        attributes |= {"server.address": target.host, "server.port": target.port}
    # An exception's message may quote payload, so the SDK must not record it.
    with tracer.start_as_current_span(
        f"qdrant {operation}",
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Exception as error:
            current.set_status(trace.StatusCode.ERROR)
            current.set_attribute("error.type", type(error.__cause__ or error).__name__)
            raise
