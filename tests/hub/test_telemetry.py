"""Telemetry: traces to a collector when one is configured, and nothing at all when not."""

import sys
import threading
import time
from collections.abc import Sequence

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from pegboard.errors import ConfigError
from pegboard.security.redaction import Redactor
from pegboard.settings import TelemetrySettings
from pegboard.telemetry import learn, telemetry

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
def sent(monkeypatch: pytest.MonkeyPatch) -> list[ReadableSpan]:
    """The spans as they leave."""
    spans = list[ReadableSpan]()

    def export(_: OTLPSpanExporter, batch: Sequence[ReadableSpan]) -> SpanExportResult:
        spans.extend(batch)
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(OTLPSpanExporter, "export", export)
    return spans


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


# Secrets, and the end


def test_secrets_are_masked_in_every_text_of_a_span(
    collector: Collector, sent: list[ReadableSpan], monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-23: names, attributes, lists, events and the status of a span; other values stay as they are."""
    with telemetry(ENDPOINT, {}):
        (provider,) = collector.providers
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
        learn(Redactor(["swordfish-7"]))
        with provider.get_tracer("test").start_as_current_span("ask swordfish-7") as span:
            span.set_attributes({"query": "password=hunter2", "names": ["a", "swordfish-7"], "rows": 3})
            span.add_event("exception", {"exception.message": "swordfish-7 is refused"})
            span.set_status(trace.Status(trace.StatusCode.ERROR, "swordfish-7 is refused"))

    (masked,) = sent
    assert masked.name == "ask [redacted]"
    assert masked.attributes == {"query": "password=[redacted]", "names": ["a", "[redacted]"], "rows": 3}
    assert masked.events[0].attributes == {"exception.message": "[redacted] is refused"}
    assert masked.status.description == "[redacted] is refused"
    assert masked.context == span.get_span_context()
    assert masked.resource.attributes["service.name"] == "mine"


def test_a_span_without_secrets_is_sent_as_it_is(collector: Collector, sent: list[ReadableSpan]) -> None:
    with telemetry(ENDPOINT, {}):
        span = collector.providers[0].get_tracer("test").start_span("ping", attributes={"a": 1})
        span.end()

    assert sent[0].attributes == {"a": 1}


def test_learning_without_a_collector_is_nothing() -> None:
    learn(Redactor(["swordfish-7"]))


def test_a_share_of_the_traces_can_be_sent(collector: Collector) -> None:
    with telemetry(ENDPOINT.model_copy(update={"sample": 0.0}), {}):
        collector.providers[0].get_tracer("test").start_span("ping").end()

    assert collector.received == []


def test_a_collector_that_does_not_answer_holds_up_the_end_for_two_seconds_at_most(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def export(_: OTLPSpanExporter, __: Sequence[ReadableSpan]) -> SpanExportResult:
        answers.wait(30)
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(OTLPSpanExporter, "export", export)
    monkeypatch.setattr("pegboard.telemetry.END_TIMEOUT", 0.05)

    began = time.monotonic()
    with telemetry(ENDPOINT, {}):
        collector.providers[0].get_tracer("test").start_span("ping").end()
    took = time.monotonic() - began
    answers.set()

    assert took < 5
