"""Telemetry: traces to an OTLP collector when one is configured, and nothing at all when not."""

import logging
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from pegboard.errors import ConfigError
from pegboard.settings import TelemetrySettings

log = logging.getLogger(__name__)

FLUSH_TIMEOUT_MS = 3000
ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@contextmanager
def telemetry(settings: TelemetrySettings, environ: Mapping[str, str] = os.environ) -> Generator[bool]:
    """Export spans while the block runs; yields whether it does.

    Configured by `[telemetry] otlp_endpoint` or OpenTelemetry's own `OTEL_EXPORTER_OTLP_*` variables. Every MCP
    message gets one span by the semantic conventions for MCP, with `pegboard.plugin`, `pegboard.endpoint` and
    `pegboard.environment` on calls. What is left is sent at the end, for at most 3 s. The provider is the process's
    own, as OpenTelemetry has it, so enter this once per process. Raises `ConfigError` without `pegboard[otel]`.
    """
    if settings.otlp_endpoint is None and not any(environ.get(name) for name in ENDPOINT_VARIABLES):
        yield False
        return
    provider = _provider(settings)
    try:
        yield True
    finally:
        provider.force_flush(FLUSH_TIMEOUT_MS)
        provider.shutdown()


def _provider(settings: TelemetrySettings):  # its type is an optional package's
    try:
        from opentelemetry import trace  # paid for only where traces are wanted
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError("[telemetry] needs more packages; pip install 'pegboard[otel]'") from error
    endpoint = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces" if settings.otlp_endpoint else None
    provider = TracerProvider(resource=Resource.create({"service.name": settings.service_name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=3)))
    trace.set_tracer_provider(provider)
    log.info("traces go to %s", settings.otlp_endpoint or "the collector of OTEL_EXPORTER_OTLP_ENDPOINT")
    return provider
