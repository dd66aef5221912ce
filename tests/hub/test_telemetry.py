"""Telemetry: traces to a collector when one is configured, and nothing at all when not."""

import sys
from collections.abc import Sequence

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from pegboard.errors import ConfigError
from pegboard.settings import TelemetrySettings
from pegboard.telemetry import telemetry

ENDPOINT = TelemetrySettings(otlp_endpoint="http://collector.example:4318/", service_name="mine")


class Collector:
    """Stands for the network and for the process's provider, of which there can be only one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.providers: list[TracerProvider] = []
        self.received: list[tuple[str, str, object]] = []
        monkeypatch.setattr(trace, "set_tracer_provider", self.providers.append)
        monkeypatch.setattr(OTLPSpanExporter, "export", self._export(self.received))

    @staticmethod
    def _export(received: list[tuple[str, str, object]]) -> object:
        def export(self: OTLPSpanExporter, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            endpoint = vars(self)["_endpoint"]
            received.extend((endpoint, span.name, span.resource.attributes["service.name"]) for span in spans)
            return SpanExportResult.SUCCESS

        return export


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Collector:
    return Collector(monkeypatch)


def test_without_a_collector_nothing_is_set_up(collector: Collector) -> None:
    with telemetry(TelemetrySettings(), {}) as exporting:
        assert not exporting

    assert collector.providers == []


def test_spans_are_sent_at_the_end_at_the_latest(collector: Collector) -> None:
    with telemetry(ENDPOINT, {}) as exporting:
        assert exporting
        (provider,) = collector.providers
        with provider.get_tracer("test").start_as_current_span("tools/call"):
            pass

    assert collector.received == [("http://collector.example:4318/v1/traces", "tools/call", "mine")]


def test_the_variables_of_opentelemetry_are_enough(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://other.example:4318"}
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", variables["OTEL_EXPORTER_OTLP_ENDPOINT"])

    with telemetry(TelemetrySettings(), variables) as exporting:
        assert exporting
        collector.providers[0].get_tracer("test").start_span("ping").end()

    assert collector.received == [("http://other.example:4318/v1/traces", "ping", "pegboard")]


def test_spans_are_sent_when_the_block_fails_too(collector: Collector) -> None:
    def work() -> None:
        with telemetry(ENDPOINT, {}):
            collector.providers[0].get_tracer("test").start_span("ping").end()
            raise LookupError

    with pytest.raises(LookupError):
        work()

    assert len(collector.received) == 1


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(ConfigError, match=r"pip install 'pegboard\[otel\]'"), telemetry(ENDPOINT, {}):
        pytest.fail("there is nothing to export with")
