"""Folders that no run can publish any more: what killed, failed and overtaken runs left behind.

Such a folder may hold data whose deletion was asked for after it was written, so no receipt is signed while
one is there. It is known by its parent: a child is published only while its parent is the current snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Set

import structlog

from alteraser import snapshot
from alteraser.errors import SnapshotCorrupt, SnapshotUnsupported
from ledger import completion
from ledger.database import unit_of_work
from ledger.orphans import publishable_parents
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def discard(workbench: Workbench, digest: str) -> None:
    """Destroy a child this worker wrote and did not publish, unless another worker published the same."""
    with unit_of_work(workbench.database) as session:
        publishable_parents(session)  # locks the pointers: nobody publishes it meanwhile
        if digest not in completion.kept(session):
            snapshot.destroy(workbench.snapshots, digest)


def destroy_orphans(workbench: Workbench) -> int:
    """Destroy every folder that no run can publish any more; returns how many.

    A folder half written is one of them once it is older than a lease: a run that writes sends no heartbeat.
    """
    started_before = int(time.time() - workbench.settings.worker_lease_s)
    leftovers = snapshot.sweep_temporary(workbench.snapshots, older_than=started_before)
    found = _unpublished(workbench)
    orphans = _destroy_unpublishable(workbench, found) if found else 0
    if leftovers + orphans:
        log.info("orphans_destroyed", folders=orphans, half_written=leftovers)
    return leftovers + orphans


def _unpublished(workbench: Workbench) -> Set[str]:
    with unit_of_work(workbench.database) as session:
        return snapshot.digests(workbench.snapshots) - completion.kept(session)


def _destroy_unpublishable(workbench: Workbench, found: Set[str]) -> int:
    with unit_of_work(workbench.database) as session:
        parents = publishable_parents(session)
        orphans = [digest for digest in found - completion.kept(session) if not _has_parent(workbench, digest, parents)]
        for digest in orphans:
            snapshot.destroy(workbench.snapshots, digest)
    return len(orphans)


def _has_parent(workbench: Workbench, digest: str, parents: Set[str | None]) -> bool:
    """Whether a folder's manifest names one of the parents; a manifest that cannot be trusted names none."""
    try:
        return snapshot.manifest(workbench.snapshots, digest).parent in parents
    except (SnapshotCorrupt, SnapshotUnsupported):
        return False
