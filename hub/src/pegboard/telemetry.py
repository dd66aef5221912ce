"""Telemetry: traces to an OTLP collector when one is configured, and nothing at all when not."""

import logging
import os
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from opentelemetry import trace

from pegboard.errors import ConfigError
from pegboard.security.redaction import Redactor
from pegboard.settings import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = logging.getLogger(__name__)

END_TIMEOUT = 2.0
"""Seconds the last spans have to be sent."""
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class _Learns(Protocol):
    def learn(self, redactor: Redactor) -> None: ...


@contextmanager
def telemetry(settings: TelemetrySettings, environ: Mapping[str, str] = os.environ) -> Generator[bool]:
    """Export spans while the block runs; yields whether it does.

    Configured by `[telemetry] otlp_endpoint` or OpenTelemetry's own `OTEL_EXPORTER_OTLP_*` variables. Every MCP
    message gets one span by the semantic conventions for MCP, with `pegboard.plugin`, `pegboard.endpoint`,
    `pegboard.environment`, `pegboard.tenant` and `pegboard.principal` on calls. Secrets in their texts are masked.
    What is left is sent at the end, for at most 2 s. The provider is the process's own, as OpenTelemetry has it, so
    enter this once per process. Raises `ConfigError` without `pegboard[otel]`.
    """
    if settings.otlp_endpoint is None and not any(environ.get(name) for name in ENDPOINT_VARIABLES):
        yield False
        return
    provider = _provider(settings)
    try:
        yield True
    finally:
        # In a thread: neither the SDK's flush nor its shutdown keeps to a time while the collector is away.
        ending = threading.Thread(target=provider.shutdown, name="pegboard traces", daemon=True)
        ending.start()
        ending.join(END_TIMEOUT)


def learn(redactor: Redactor) -> None:
    """Mask the secrets that this one knows in the process's spans from now on, beside those known already."""
    exporter: _Learns | None = getattr(trace.get_tracer_provider(), "pegboard_exporter", None)
    if exporter is not None:
        exporter.learn(redactor)


def _provider(settings: TelemetrySettings) -> Any:  # its type is an optional package's
    try:
        # Paid for only where traces are wanted.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError as error:
        raise ConfigError("[telemetry] needs more packages; pip install 'pegboard[otel]'") from error
    endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces" if settings.otlp_endpoint else None
    sampler = ParentBasedTraceIdRatio(settings.sample) if settings.sample < 1 else None  # else as the environment says
    provider = TracerProvider(
        sampler=sampler,
        resource=Resource.create({"service.name": settings.service_name}),
        shutdown_on_exit=False,
    )
    exporter = _Masked(OTLPSpanExporter(endpoint=endpoint, timeout=3))
    provider.add_span_processor(BatchSpanProcessor(cast("SpanExporter", exporter)))
    setattr(provider, "pegboard_exporter", exporter)  # noqa: B010 # where `learn` finds it
    trace.set_tracer_provider(provider)
    log.info("traces go to %s", settings.otlp_endpoint or "the collector of OTEL_EXPORTER_OTLP_ENDPOINT")
    return provider


class _Masked:
    """An exporter that masks secrets in the texts of spans before another one sends them."""

    def __init__(self, exporter: "SpanExporter") -> None:
        self._exporter = exporter
        self._redactor = Redactor()

    def learn(self, redactor: Redactor) -> None:
        """Mask these secrets, too."""
        self._redactor = self._redactor.joined(redactor)

    def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
        """Send the spans, masked."""
        return self._exporter.export([self._masked(span) for span in spans])

    def shutdown(self) -> None:
        """Let go of what the other one holds."""
        self._exporter.shutdown()

    def _masked(self, span: "ReadableSpan") -> "ReadableSpan":
        texts = "\n".join(_texts(span))
        if self._redactor.text(texts) == texts:  # as it is in nearly all
            return span
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace import Status

        events = [Event(event.name, self._values(event.attributes), event.timestamp) for event in span.events]
        return ReadableSpan(
            self._redactor.text(span.name),
            span.context,
            span.parent,
            span.resource,
            self._values(span.attributes),
            events,
            span.links,
            span.kind,
            status=Status(span.status.status_code, self._value(span.status.description)),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _values(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        return {name: self._value(value) for name, value in (attributes or {}).items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._redactor.text(value)
        return [self._value(one) for one in cast(Sequence[Any], value)] if isinstance(value, list | tuple) else value


def _texts(span: "ReadableSpan") -> Iterator[str]:
    """Everything in a span that may hold words of others."""
    yield span.name
    yield span.status.description or ""
    for attributes in (span.attributes, *(event.attributes for event in span.events)):
        for value in (attributes or {}).values():
            yield value if isinstance(value, str) else str(value) if isinstance(value, list | tuple) else ""
