"""The Prometheus format: what was counted and how things are, as the text that is scraped."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as of_prometheus

from pegboard.metrics import Metrics, Reading
from pegboard.prometheus import Scraped

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def samples(text: bytes) -> Mapping[str, float]:
    """Every sample by its name and labels, as they stand in the text."""
    families = of_prometheus(text.decode())
    return {
        sample.name + "".join(f" {label}={value}" for label, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def test_readings_become_metrics_by_the_conventions() -> None:
    readings = [
        Reading("pegboard.uptime", "Since the start.", {(): 1.5}, unit="s"),
        Reading("pegboard.memory.limit", "At most.", {(): 1e9}, unit="By"),
        Reading("pegboard.denied", "Refused.", {("none",): 3, ("scope",): 0}, ("reason",), only_grows=True),
    ]

    text, kind = Scraped(Metrics()).text(readings, "")

    found = samples(text)
    assert kind.startswith("text/plain; version=")
    assert found["pegboard_uptime_seconds"] == 1.5
    assert found["pegboard_memory_limit_bytes"] == 1e9
    assert found["pegboard_denied_total reason=none"] == 3
    assert found["pegboard_denied_total reason=scope"] == 0
    assert b"# TYPE pegboard_denied_total counter" in text
    assert b"# HELP pegboard_uptime_seconds Since the start." in text


def test_what_is_counted_by_size_is_a_histogram() -> None:
    metrics = Metrics()
    scraped = Scraped(metrics)
    metrics.call("p", "p_x", "ok", 0.2)
    metrics.call("p", "p_x", "ok", 99)

    found = samples(scraped.text(metrics.readings(), "")[0])

    name, labels = "pegboard_call_duration_seconds", "plugin=p tool=p_x"
    assert found[f"{name}_bucket le=0.1 {labels}"] == 0
    assert found[f"{name}_bucket le=0.25 {labels}"] == 1
    assert found[f"{name}_bucket le=60.0 {labels}"] == 1
    assert found[f"{name}_bucket le=+Inf {labels}"] == 2
    assert found[f"{name}_count {labels}"] == 2
    assert found[f"{name}_sum {labels}"] == 99.2


def test_each_scrape_says_how_it_is_now() -> None:
    scraped = Scraped(Metrics())
    before = Reading("pegboard.sessions", "Open.", {("sse",): 1, ("mcp",): 2}, ("transport",))
    after = Reading("pegboard.sessions", "Open.", {("sse",): 0}, ("transport",))

    first, second = (samples(scraped.text([reading], "")[0]) for reading in (before, after))

    assert first["pegboard_sessions transport=mcp"] == 2
    assert second["pegboard_sessions transport=sse"] == 0
    assert "pegboard_sessions transport=mcp" not in second


def test_who_asks_for_openmetrics_gets_it() -> None:
    metrics = Metrics()
    metrics.request("tools/call", "sse", "ok", 1)

    text, kind = Scraped(metrics).text(metrics.readings(), OPENMETRICS)

    assert kind.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")
    read: Any = openmetrics
    families = read.text_string_to_metric_families(text.decode())
    assert "mcp_requests" in {family.name for family in families}


def test_the_process_is_among_them() -> None:
    found = samples(Scraped(Metrics()).text([], "")[0])

    assert found["process_resident_memory_bytes"] > 1e6
    assert found["process_cpu_seconds_total"] > 0
    assert found["process_open_fds"] > 2
    assert found["process_start_time_seconds"] > 1e9


def test_a_label_cannot_end_its_line() -> None:
    """S-24: quotes, backslashes and line ends in a name stay inside of its label."""
    hostile = 'a"} 1\nfaked_total{x="\\'
    reading = Reading("pegboard.pool.failures", "Not answered.", {(hostile,): 1}, ("target",), only_grows=True)

    text, _ = Scraped(Metrics()).text([reading], "")

    (family,) = [one for one in of_prometheus(text.decode()) if one.name == "pegboard_pool_failures"]
    assert [sample.labels for sample in family.samples] == [{"target": hostile}]
    assert not [line for line in text.splitlines() if line.startswith(b"faked")]


def test_two_hubs_in_a_process_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.limited("rate")

    texts = [samples(Scraped(metrics).text(metrics.readings(), "")[0]) for metrics in (one, other)]

    assert [found["pegboard_limited_total limit=rate"] for found in texts] == [1, 0]
