"""Spans with OpenTelemetry's database conventions; never the text of a query, never a value."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from opentelemetry import trace

from pegboard_postgres.target import Target

tracer = trace.get_tracer("pegboard_postgres")


def attributes(target: Target) -> dict[str, str | int]:
    """What every span says of a database."""
    known: dict[str, str | int] = {"db.system.name": "postgresql"}
    if target.database:
        known["db.namespace"] = target.database
    if target.host:
        known |= {"server.address": target.host, "server.port": target.port}
    return known


@contextmanager
def span(name: str, known: Mapping[str, str | int], operation: str | None = None) -> Generator[None]:
    """Trace what happens inside as a child of the call; an error leaves its class and SQLSTATE, not its text."""
    attributes = {**known, "db.operation.name": operation} if operation else known
    # An exception's message may quote the values of a row, so the SDK must not record it.
    with tracer.start_as_current_span(
        name, kind=trace.SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield
        except Exception as error:
            current.set_status(trace.StatusCode.ERROR)
            cause = error.__cause__ or error
            current.set_attribute("error.type", type(cause).__name__)
            if sqlstate := getattr(cause, "sqlstate", None):
                current.set_attribute("db.response.status_code", str(sqlstate))
            raise
