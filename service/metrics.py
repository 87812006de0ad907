"""What this process counts, for Prometheus. No label ever holds an identity or a path."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

FAST_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)


class Metrics:
    """The instruments of one web process, in a registry of their own.

    Attributes:
        registry: Where they are found at a scrape.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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

    def answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """Count a request by the template of its route."""
        self._requests.labels(method, route, str(status)).inc()
        self._duration_s.labels(method, route).observe(duration_s)

    def recommended(self, duration_s: float) -> None:
        """Count a recommendation."""
        self._recommendation_s.observe(duration_s)
