"""What this one process serves, in its own words."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from service.collectors.families import gauge, gauges
from service.replica import Replica


class ReplicaCollector(Collector):
    """What this process serves.

    Attributes:
        replica: This process as a replica.
    """

    def __init__(self, replica: Replica) -> None:
        self.replica = replica

    def collect(self) -> Iterable[Metric]:
        """Read the replica."""
        lives, pointers = self.replica.lives, self.replica.pointers
        versions = [((model,), live.version) for model, live in lives.items()]
        watermarks = [((model,), live.watermark) for model, live in lives.items()]
        lags = [((model,), pointers[model].watermark - live.watermark) for model, live in lives.items()]
        return [
            gauges("alteraser_served_version", "Generation that this process serves.", ["model"], versions),
            gauges("alteraser_served_watermark", "Erasure watermark of that generation.", ["model"], watermarks),
            gauges(
                "alteraser_served_watermark_lag",
                "How far the served watermark is behind the ledger's, as this process last read it.",
                ["model"],
                lags,
            ),
            gauge(
                "alteraser_ledger_silence_seconds",
                "Time since this process last read the ledger.",
                self.replica.silent_s,
            ),
        ]
