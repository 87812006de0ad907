"""What a worker or beat process is told from outside."""

from __future__ import annotations

from pydantic import Field

from ledger.settings import SharedSettings


class WorkerSettings(SharedSettings):
    """Settings of the worker and of beat, beside those every process shares."""

    worker_lease_s: float = Field(default=30.0, gt=0)
    """Seconds a run may go without a heartbeat before another worker takes its requests over. Too short, and
    a slow step loses the run; too long, and the requests of a killed worker wait that much."""

    worker_sweep_s: float = Field(default=2.0, gt=0)
    """Seconds between two sweeps: how long a lost doorbell or an expired lease goes unnoticed."""

    worker_tolerance: float = Field(default=1e-2, gt=0, lt=1)
    """Gradient norm at which a child counts as unlearned, relative to what the deletion left behind. At the default
    at most 1 % of what the deleted data did to the scores is left (`benchmarks.calibration`). Smaller is more exact
    and takes longer; 1e-6 suits an audit."""

    worker_accuracy_bound: float = Field(default=0.02, ge=0, le=1)
    """Largest fall of training Recall@10, in recall points, from parent to child. A larger fall makes the run
    retrain, and fail if that falls as far."""

    worker_accuracy_users: int = Field(default=500, ge=1)
    """Kept users over whom that recall is measured. More are steadier and slower."""

    worker_threads: int | None = Field(default=None, ge=1)
    """Threads torch computes with in this worker; the number of cores where unset. Set it where workers share
    a machine: threads that wait for each other are slower than one."""

    worker_device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    """Where torch computes: `cpu`, `cuda` or `cuda:1`. One worker per GPU."""
