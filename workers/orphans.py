"""Folders that no run can publish any more: what killed, failed and overtaken runs left behind.

Such a folder may hold data whose deletion was asked for after it was written, so no receipt is signed while
one is there. It is known by its parent: a child is published only while its parent is the current snapshot.
"""

from __future__ import annotations

from collections.abc import Set

import structlog
from sqlalchemy.orm import Session

from alteraser import crash, snapshot
from alteraser.errors import SnapshotError
from ledger import completion, orphans
from ledger.database import unit_of_work
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def discard(workbench: Workbench, digest: str) -> None:
    """Destroy a child this worker wrote and did not publish, unless another worker published the same."""
    crash.point("discard.before")
    with unit_of_work(workbench.database) as session:
        orphans.lock_pointers(session)
        if digest not in completion.kept(session):
            snapshot.destroy(workbench.snapshots, digest)


def destroy_orphans(workbench: Workbench) -> int:
    """Destroy every folder that no run can publish any more; returns how many.

    A folder half written is one of them once it is older than a lease: a run that writes sends no heartbeat.
    """
    half_written = snapshot.sweep_temporary(workbench.snapshots, workbench.settings.worker_lease_s)
    whole = _destroy_whole(workbench) if _unpublished(workbench) else 0
    if half_written + whole:
        log.info("orphans_destroyed", whole=whole, half_written=half_written)
    return half_written + whole


def _unpublished(workbench: Workbench) -> Set[str]:
    with unit_of_work(workbench.database) as session:
        return snapshot.digests(workbench.snapshots) - completion.kept(session)


def _destroy_whole(workbench: Workbench) -> int:
    with unit_of_work(workbench.database) as session:
        orphans.lock_pointers(session)
        doomed = _orphans(workbench, session)
        for digest in doomed:
            snapshot.destroy(workbench.snapshots, digest)
    return len(doomed)


def _orphans(workbench: Workbench, session: Session) -> list[str]:
    """The unpublished folders whose parent is superseded."""
    parents = {}
    for digest in snapshot.digests(workbench.snapshots) - completion.kept(session):
        try:
            parents[digest] = snapshot.manifest(workbench.snapshots, digest).parent
        except SnapshotError:
            log.warning("folder_unreadable", snapshot=digest)
    superseded = orphans.superseded(session, set(parents.values()))
    return [digest for digest, parent in parents.items() if parent in superseded]
