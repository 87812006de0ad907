"""Metric families filled from rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from ledger.history import BOUNDS_S, Durations

Labels: TypeAlias = tuple[str, ...]
Labelled: TypeAlias = Iterable[tuple[Labels, float]]


def gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    """A value that goes up and down."""
    return GaugeMetricFamily(name, documentation, value=value)


def counter(name: str, documentation: str, value: float) -> CounterMetricFamily:
    """A value that only grows."""
    return CounterMetricFamily(name, documentation, value=value)


def gauges(name: str, documentation: str, labels: Sequence[str], values: Labelled) -> GaugeMetricFamily:
    """A gauge for each combination of labels."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for names, value in values:
        family.add_metric(names, value)
    return family


def counters(name: str, documentation: str, labels: Sequence[str], values: Labelled) -> CounterMetricFamily:
    """A counter for each combination of labels."""
    family = CounterMetricFamily(name, documentation, labels=labels)
    for names, value in values:
        family.add_metric(names, value)
    return family


def histogram(
    name: str, documentation: str, labels: Sequence[str], values: Iterable[tuple[Labels, Durations]]
) -> HistogramMetricFamily:
    """A histogram of seconds for each combination of labels."""
    family = HistogramMetricFamily(name, documentation, labels=labels)
    for names, durations in values:
        at_most = accumulate(durations.buckets)
        bounds = (*map(str, BOUNDS_S), "+Inf")
        family.add_metric(names, list(zip(bounds, at_most, strict=True)), durations.took.total_seconds())
    return family
