"""Spans with OpenTelemetry's database conventions; never the text of a query, never a value."""

from collections.abc import Generator
from contextlib import contextmanager

from opentelemetry import trace

from pegboard_neo4j.failures import code
from pegboard_neo4j.target import Target

tracer = trace.get_tracer("pegboard_neo4j")


@contextmanager
def span(target: Target, operation: str) -> Generator[None]:
    """Trace what happens inside as a child of the call; an error leaves its class and code, not its text."""
    attributes: dict[str, str | int] = {
        "db.system.name": "neo4j",
        "db.operation.name": operation,
        "server.address": target.host,
        "server.port": target.port,
    }
    if target.database:
        attributes["db.namespace"] = target.database
    # An exception's message may quote values, so the SDK must not record it.
    with tracer.start_as_current_span(
        f"{operation} {target.database or ''}".rstrip(),
        kind=trace.SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield
        except Exception as error:
            cause = error.__cause__ or error
            current.set_status(trace.StatusCode.ERROR)
            current.set_attribute("error.type", type(cause).__name__)
            if answer := code(cause):
                current.set_attribute("db.response.status_code", answer)
            raise
