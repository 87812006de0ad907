"""What happens every few seconds so that nothing waits for a message that was lost."""

from __future__ import annotations

import structlog

from alteraser import crash
from ledger import occurrences, progress, sweep, workers
from ledger.database import unit_of_work
from ledger.doorbell import UNLEARN
from ledger.replicas import forget_dead
from workers.certificates import certify_published
from workers.completion import complete_ready
from workers.orphans import destroy_orphans
from workers.restores import is_behind
from workers.sealing import seal
from workers.workbench import Workbench

FORGET_REPLICA_AFTER_S = 3600.0
"""A replica silent for so long is gone for good; it held up nothing since its timeout."""

FORGET_WORKER_AFTER_S = 900.0
"""A worker silent for so long was killed, and its alert has been seen."""

log = structlog.get_logger(__name__)


def sweep_once(workbench: Workbench) -> None:
    """Take over what dead workers held, ring again for what waits, certify, complete what is due, clear, sign."""
    timeout_s = workbench.settings.replica_timeout_s
    database = workbench.database
    with unit_of_work(database) as session:
        expired = sweep.expire_leases(session)
    if expired:
        crash.point("expire.committed")
    with unit_of_work(database) as session:  # each locks requests oldest first; together they would not
        retried = sweep.retry_failed(session)
    with unit_of_work(database) as session:
        sweep.settle_untrained(session)
    with unit_of_work(database) as session:
        sweep.suppress_without_replicas(session, timeout_s)
        forget_dead(session, max(timeout_s, FORGET_REPLICA_AFTER_S))
        progress.forget_old(session)
        waiting = sweep.models_with_work(session)
    for run_id in expired:
        log.warning("lease_expired", run=str(run_id))
    if retried:
        log.info("failed_requests_retried", requests=retried)
    if waiting or is_behind(workbench):
        workbench.doorbell.ring(UNLEARN)
    certify_published(workbench)
    complete_ready(workbench)
    destroy_orphans(workbench)
    seal(workbench)
    with unit_of_work(database) as session:
        workers.forget_silent(session, FORGET_WORKER_AFTER_S)
        occurrences.note(session, "sweep")


class OverdueAlarm:
    """Logs how many requests are past their due date whenever that number changes."""

    def __init__(self) -> None:
        self._last = 0

    def __call__(self, workbench: Workbench) -> None:
        """Look, and log."""
        with unit_of_work(workbench.database) as session:
            overdue = sweep.overdue_count(session)
        if overdue != self._last:
            log.warning("overdue_requests_counted", requests=overdue)
        self._last = overdue
