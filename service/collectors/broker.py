"""What waits in the broker."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from ledger.doorbell import QUEUE, Doorbell
from service.collectors.families import gauge, gauges


class BrokerCollector(Collector):
    """How many rings wait for a worker; where the broker is away, only `alteraser_broker_up` is there, and is 0.

    Attributes:
        doorbell: The broker's side of it.
    """

    def __init__(self, doorbell: Doorbell) -> None:
        self.doorbell = doorbell

    def collect(self) -> Iterable[Metric]:
        """Ask the broker."""
        waiting = self.doorbell.waiting()
        yield gauge("alteraser_broker_up", "Whether the broker answers.", waiting is not None)
        if waiting is not None:
            yield gauges(
                "alteraser_broker_queue_length", "Rings that no worker has taken.", ["queue"], [((QUEUE,), waiting)]
            )
