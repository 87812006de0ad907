"""What this process counts, for Prometheus. No label ever holds an identity or a path."""

from __future__ import annotations

from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

FAST_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)


class Metrics:
    """The instruments of one web process, in a registry of their own.

    Attributes:
        registry: Where they are found at a scrape.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # a series more for each, which nothing reads
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        build = Info("alteraser_build", "The release that runs.", registry=self.registry)
        build.info({"version": version("alteraser")})
        self._unanswered = Gauge(
            "alteraser_http_requests_in_progress",
            "Requests that are being answered, those that wait for a deletion included.",
            registry=self.registry,
        )
        self._requests = Counter(
            "alteraser_http_requests",
            "Requests answered; status 499 where the client had gone.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._duration_s = Histogram(
            "alteraser_http_request_duration_seconds",
            "From the request's headers to the answer's last byte.",
            ("method", "route"),
            registry=self.registry,
        )
        self._recommendation_s = Histogram(
            "alteraser_recommendation_duration_seconds",
            "Scoring and ranking for one user.",
            buckets=FAST_S,
            registry=self.registry,
        )

    def asked(self) -> None:
        """Count a request that is to be answered."""
        self._unanswered.inc()

    def answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count an answer by the template of the request's route."""
        self._unanswered.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._duration_s.labels(method, route).observe(duration_s)

    def recommended(self, duration_s: float) -> None:
        """Count a recommendation."""
        self._recommendation_s.observe(duration_s)
