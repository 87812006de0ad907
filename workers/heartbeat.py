"""A run's sign of life: each step the solver reports, told to the ledger often enough to keep the lease."""

from __future__ import annotations

import time

from alteraser import crash
from alteraser.model import Progress
from ledger import progress, runs, tracing
from ledger.database import unit_of_work
from ledger.runs import Lease
from workers.curve import Curve
from workers.workbench import Workbench

PER_LEASE = 5
"""Heartbeats per lease time: four in a row may be late before the lease is lost."""


class Heartbeat:
    """Watches the solver of one run.

    It comes from the steps themselves and not from a thread beside them: a run that is stuck loses its lease.
    """

    def __init__(self, workbench: Workbench, lease: Lease) -> None:
        self._workbench = workbench
        self._lease = lease
        self._lease_s = workbench.settings.worker_lease_s
        self._curve = Curve()
        self._next_at = 0.0

    def __call__(self, step: Progress) -> None:
        """Tell the ledger, unless it was told a fifth of the lease time ago or less and the curve can wait.

        Raises:
            LeaseLost: The run expired; whatever it was doing is not wanted any more.
            ToldToStop: The worker has no more time for it.
        """
        crash.point("unlearn.step")
        self._workbench.shutdown.check()
        self._curve.note(step)
        if time.monotonic() >= self._next_at or self._curve.is_due():
            self._tell(step)

    def _tell(self, step: Progress) -> None:
        first, points = self._curve.take()
        with unit_of_work(self._workbench.database) as session:
            runs.heartbeat(session, self._lease, self._lease_s, step.phase, step.step, step.residual)
            progress.keep(session, self._lease.run_id, first, points)
        tracing.note("heartbeat", phase=step.phase, step=step.step)
        self._workbench.liveness.beat(self._lease_s)
        self._next_at = time.monotonic() + self._lease_s / PER_LEASE
