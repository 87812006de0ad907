"""What the web process is told beside what all processes are."""

from __future__ import annotations

from pydantic import Field

from ledger.settings import SharedSettings


class ServiceSettings(SharedSettings):
    """The settings of the web process."""

    service_host: str = "127.0.0.1"
    """Address to listen on. `0.0.0.0` lets other machines in: put a proxy with TLS before it."""

    service_port: int = Field(default=8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one, which the log names."""

    service_poll_s: float = Field(default=0.5, gt=0, le=5)
    """Seconds between two looks at the ledger when no hint comes. A lost hint delays suppression in other
    processes by so much."""

    service_key_memory_s: float = Field(default=5.0, ge=0)
    """Seconds for which a good API key is not looked up again. A revoked key works for so long; while the
    database is away, remembered keys stay good."""

    service_model: str | None = None
    """Name of the model that recommends. Unset: the one that was declared first."""

    service_drain_s: float = Field(default=0.0, ge=0)
    """Seconds for which a process that is told to stop says on `/readyz` that it is not ready and still answers, so
    that a load balancer can send its callers elsewhere. Make it longer than the balancer takes to notice."""
