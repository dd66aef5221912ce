"""The Prometheus format: what was counted and how things are, through OpenTelemetry, as the text that is scraped."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
)
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from pegboard.metrics import Cell, Labels, Metrics, Reading, Spread


class Scraped:
    """The metrics of one hub in the format of Prometheus, or OpenMetrics for who asks for that.

    It has a provider and a registry of its own, so that two hubs in a process share nothing. Imports and text take
    milliseconds: make it and use it in a thread, one at a time.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        reader = _Reader(metrics.spreads, self._registry)
        provider = MeterProvider([reader], resource=Resource.get_empty(), shutdown_on_exit=False)
        self._meter = provider.get_meter("pegboard")
        self._readings: dict[str, Reading] = {}

    def text(self, readings: Iterable[Reading], accept: str) -> tuple[bytes, str]:
        """The whole answer and its content type."""
        found = {reading.name: reading for reading in readings}
        new = [reading for name, reading in found.items() if name not in self._readings]
        self._readings |= found
        for reading in new:
            self._register(reading)
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def _register(self, reading: Reading) -> None:
        make = self._meter.create_observable_counter if reading.only_grows else self._meter.create_observable_gauge
        make(reading.name, [partial(self._observe, reading.name)], reading.unit, reading.about)

    def _observe(self, name: str, _: CallbackOptions) -> Iterable[Observation]:
        reading = self._readings[name]
        return [
            Observation(value, dict(zip(reading.labels, labels, strict=True)))
            for labels, value in reading.values.items()
        ]


class _Reader(PrometheusMetricReader):
    """The SDK's reader, and behind what the SDK has collected, what was counted by size outside of it."""

    def __init__(self, spreads: Sequence[Spread], registry: CollectorRegistry) -> None:
        super().__init__(disable_target_info=True, scope_info_enabled=False, registry=registry)
        self._spreads = spreads
        self._began = time.time_ns()

    # The method by which every reader gets its data; what it is handed is public.
    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        (resource,) = metrics_data.resource_metrics
        (scope,) = resource.scope_metrics
        scope = replace(scope, metrics=[*scope.metrics, *map(self._metric, self._spreads)])
        data = MetricsData([replace(resource, scope_metrics=[scope])])
        super()._receive_metrics(data, timeout_millis, **kwargs)  # pyright: ignore[reportUnknownMemberType] # half typed

    def _metric(self, spread: Spread) -> Metric:
        points = [self._point(spread, labels, cell) for labels, cell in list(spread.cells.items())]
        return Metric(spread.name, spread.about, spread.unit, Histogram(points, AggregationTemporality.CUMULATIVE))

    def _point(self, spread: Spread, labels: Labels, cell: Cell) -> HistogramDataPoint:
        counts = list(cell.counts)
        return HistogramDataPoint(
            dict(zip(spread.labels, labels, strict=True)),
            start_time_unix_nano=self._began,
            time_unix_nano=time.time_ns(),
            count=sum(counts),
            sum=cell.sum,
            bucket_counts=counts,
            explicit_bounds=spread.bounds,
            min=0.0,
            max=0.0,
        )


def joined(texts: Mapping[str, str], accept: str) -> tuple[bytes, str]:
    """What several processes answer, as one text with its content type: each series has the label `worker`.

    Nothing is added up here. A sum would fall when one of them is started anew, and Prometheus would take that for a
    restart of all; a sum of its rates is right.
    """
    families: dict[str, Family] = {}
    for worker, text in texts.items():
        for found in text_string_to_metric_families(text):
            family = families.setdefault(found.name, Family(found.name, found.documentation, found.type))
            family.samples += [one._replace(labels={**one.labels, "worker": worker}) for one in found.samples]
    encode, kind = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Families(families.values()))
    return encode(registry), kind


class _Families(Collector):
    """What is there already, as something to collect."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Family]:
        return self._families
