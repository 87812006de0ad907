"""From unlearned to completed: old generations destroyed, receipt signed."""

from __future__ import annotations

from uuid import UUID

import structlog

from alteraser import crash, snapshot
from ledger import completion, journal_lines
from ledger.database import unit_of_work
from ledger.errors import NotCompletable
from workers.orphans import destroy_orphans
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def complete_ready(workbench: Workbench) -> int:
    """Complete every request whose live replicas have all swapped; returns how many.

    Whatever still held its data on disk is destroyed, and seen to be gone, before its receipt is signed. It does not
    wait for the certificate, as the receipt does.
    """
    timeout_s = workbench.settings.replica_timeout_s
    workbench.guard.journal_new()  # nothing is completed that the journal does not know
    with unit_of_work(workbench.database) as session:
        ready = completion.completable(session, timeout_s)
        doomed = completion.to_destroy(session, timeout_s)
    for model, digest in doomed:
        _destroy(workbench, model, digest)
    if not ready:
        return 0
    destroy_orphans(workbench)
    if snapshot.has_temporary(workbench.snapshots):
        log.info("completion_deferred", reason="a folder is half written")  # it may hold the data; the sweep comes back
        return 0
    completed = [request_id for request_id in ready if _complete(workbench, request_id)]
    if completed:
        workbench.doorbell.hint()  # their suppression is lifted
        workbench.journal.append([journal_lines.completed(completed)])
    return len(completed)


def _destroy(workbench: Workbench, model: str, digest: str) -> None:
    """Remove a generation from the disk, then note it: a crash in between only makes it be removed twice."""
    crash.point("destroy.before")
    snapshot.destroy(workbench.snapshots, digest)
    crash.point("destroy.removed")
    with unit_of_work(workbench.database) as session:
        completion.mark_destroyed(session, model, digest)
    log.info("snapshot_destroyed", model=model, snapshot=digest)


def _complete(workbench: Workbench, request_id: UUID) -> bool:
    """Sign and complete one request; leave it for later where something, such as a new replica, came in."""
    try:
        with unit_of_work(workbench.database) as session:
            completion.complete(session, request_id, workbench.signer, workbench.settings.replica_timeout_s)
            crash.point("receipt.inside")
    except NotCompletable as refused:
        log.info("completion_deferred", request=str(request_id), reason=refused.reason)
        return False
    crash.point("receipt.issued")
    log.info("request_completed", request=str(request_id))
    return True
