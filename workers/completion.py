"""From unlearned to completed: old generations destroyed, receipt signed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from alteraser import crash, snapshot
from ledger import completion, journal_lines, tracing
from ledger.database import unit_of_work
from workers.orphans import destroy_orphans
from workers.workbench import Workbench

AT_ONCE = 200
"""Receipts signed in one transaction: whoever records or completes meanwhile waits for as many."""

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
        doomed = completion.to_destroy(session, timeout_s, workbench.settings.worker_rollback_grace_s)
    for model, digest in doomed:
        _destroy(workbench, model, digest)
    if not ready:
        return 0
    destroy_orphans(workbench)
    if snapshot.has_temporary(workbench.snapshots):
        log.info("completion_deferred", reason="a folder is half written")  # it may hold the data; the sweep comes back
        return 0
    return sum(_complete(workbench, ready[start : start + AT_ONCE]) for start in range(0, len(ready), AT_ONCE))


def _destroy(workbench: Workbench, model: str, digest: str) -> None:
    """Remove a generation from the disk, then note it: a crash in between only makes it be removed twice."""
    crash.point("destroy.before")
    snapshot.destroy(workbench.snapshots, digest)
    crash.point("destroy.removed")
    with unit_of_work(workbench.database) as session:
        completion.mark_destroyed(session, model, digest)
    log.info("snapshot_destroyed", model=model, snapshot=digest)


def _complete(workbench: Workbench, request_ids: Sequence[UUID]) -> int:
    """Sign and complete requests; leave those for later where something, such as a new replica, came in."""
    with unit_of_work(workbench.database) as session:
        calls = tracing.calls_of(session, request_ids)
    with tracing.stage("complete", calls), unit_of_work(workbench.database) as session:
        done = completion.complete(session, request_ids, workbench.signer, workbench.settings.replica_timeout_s)
        crash.point("receipt.inside")
    crash.point("receipt.issued")
    for request_id, reason in done.deferred.items():
        log.info("completion_deferred", request=str(request_id), reason=reason)
    for request_id in done.completed:
        log.info("request_completed", request=str(request_id))
    if done.completed:
        workbench.doorbell.hint()  # their suppression is lifted
        workbench.journal.append([journal_lines.completed(done.completed)])
    return len(done.completed)
