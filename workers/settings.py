"""What a worker or beat process is told from outside."""

from __future__ import annotations

from pathlib import Path

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

    worker_perturb: bool = True
    """Whether a run goes further than the tolerance and then steps back at random, so that what is left of the
    gradient points at nobody (`alteraser.perturbation`). Off, a run takes a third to two thirds of the time,
    and whoever holds a whole snapshot may be able to tell whom it forgot last."""

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

    worker_stop_s: float = Field(default=5.0, ge=0)
    """Seconds for which a worker that is told to stop goes on with its run. One that is not over then is given back,
    and another worker takes it. Keep it below the time after which whoever stops it kills it."""

    worker_liveness_file: Path | None = None
    """File that shows whether worker or beat gets on, for `python -m workers.liveness`. Each process needs one of its
    own. Unset: none is kept."""

    worker_callback_timeout_s: float = Field(default=10.0, gt=0)
    """Seconds to wait for whoever is called back: to connect, and for each piece of the answer. Whatever a worker
    died over is sent again after twice as long."""

    worker_callback_tries: int = Field(default=20, ge=1)
    """Attempts to tell somebody of a change before it is given up. The pauses double from two seconds to six hours:
    twenty take two days."""

    worker_rollback_grace_s: float = Field(default=604800.0, ge=0)
    """Seconds for which a superseded generation is kept, so that `alteraser rollback` can return to it. One that
    holds data of a recorded deletion is never returned to, and goes with the deletion however long this is."""
