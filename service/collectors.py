"""Metrics that are read, not counted: from the ledger and the replica, at every scrape."""

from __future__ import annotations

import math
from collections.abc import Iterable

import structlog
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from ledger import overview
from ledger.database import Database, unit_of_work
from ledger.overview import Durations
from service.replica import Replica

log = structlog.get_logger(__name__)

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 3600.0, 86400.0)


class LedgerCollector(Collector):
    """How deletion requests stand, by the ledger; `alteraser_ledger_up` is 0 where it cannot be read.

    Attributes:
        database: The ledger.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def collect(self) -> Iterable[Metric]:
        """Read the ledger."""
        try:
            with unit_of_work(self.database) as session:
                standing = overview.requests(session)
                durations = overview.durations(session, BOUNDS_S)
        except SQLAlchemyError as error:
            log.error("metrics_not_read", error=type(error).__name__)
            return [_gauge("alteraser_ledger_up", "Whether the ledger can be read.", 0)]
        return [
            _gauge("alteraser_ledger_up", "Whether the ledger can be read.", 1),
            _by_state(standing),
            _gauge("alteraser_deletion_requests_overdue", "Requests past their due date.", standing.overdue),
            _gauge(
                "alteraser_deletion_oldest_open_age_seconds",
                "Age of the oldest request that has not ended.",
                standing.oldest_open_s,
            ),
            _since_recorded(durations),
        ]


class ReplicaCollector(Collector):
    """What this process serves.

    Attributes:
        replica: This process as a replica.
    """

    def __init__(self, replica: Replica) -> None:
        self.replica = replica

    def collect(self) -> Iterable[Metric]:
        """Read the replica."""
        version = GaugeMetricFamily("alteraser_replica_version", "Generation that is served.", labels=["model"])
        watermark = GaugeMetricFamily("alteraser_replica_watermark", "Watermark that is served.", labels=["model"])
        lag = GaugeMetricFamily(
            "alteraser_replica_watermark_lag",
            "How far the served watermark is behind the ledger's.",
            labels=["model"],
        )
        pointers = self.replica.pointers
        for model, live in self.replica.lives.items():
            version.add_metric([model], live.version)
            watermark.add_metric([model], live.watermark)
            lag.add_metric([model], pointers[model].watermark - live.watermark)
        silent_s = self.replica.silent_s
        silence = _gauge(
            "alteraser_replica_silence_seconds",
            "Time since this process last read the ledger.",
            silent_s if math.isfinite(silent_s) else math.nan,
        )
        return [version, watermark, lag, silence]


def _gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, value=value)


def _by_state(standing: overview.Requests) -> Metric:
    states = GaugeMetricFamily("alteraser_deletion_requests", "Requests in each state.", labels=["state"])
    for state, count in standing.by_state.items():
        states.add_metric([state], count)
    return states


def _since_recorded(durations: dict[str, Durations]) -> Metric:
    family = HistogramMetricFamily(
        "alteraser_deletion_duration_seconds",
        "From recorded to each later clock of a request.",
        labels=["clock"],
    )
    for clock, took in durations.items():
        buckets = [(str(bound), float(count)) for bound, count in took.at_most.items()]
        family.add_metric([clock], [*buckets, ("+Inf", float(took.count))], took.sum_s)
    return family
