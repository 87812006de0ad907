"""A run's sign of life: each step the solver reports, told to the ledger often enough to keep the lease."""

from __future__ import annotations

import time

from alteraser import crash
from alteraser.model import Progress
from ledger import runs
from ledger.database import unit_of_work
from ledger.runs import Lease
from workers.workbench import Workbench

PER_LEASE = 5
"""Heartbeats per lease time: four in a row may be late before the lease is lost."""


class Heartbeat:
    """Watches the solver of one run.

    It comes from the steps themselves and not from a thread beside them: a run that is stuck loses its lease.
    """

    def __init__(self, workbench: Workbench, lease: Lease) -> None:
        self._database = workbench.database
        self._lease = lease
        self._lease_s = workbench.settings.worker_lease_s
        self._next_at = 0.0

    def __call__(self, progress: Progress) -> None:
        """Tell the ledger, unless it was told a fifth of the lease time ago or less.

        Raises:
            LeaseLost: The run expired; whatever it was doing is not wanted any more.
        """
        crash.point("unlearn.step")
        now = time.monotonic()
        if now < self._next_at:
            return
        with unit_of_work(self._database) as session:
            runs.heartbeat(session, self._lease, self._lease_s, progress.phase, progress.step, progress.residual)
        self._next_at = now + self._lease_s / PER_LEASE
