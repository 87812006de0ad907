"""One unlearning run, from the lease to the published child. Start reading here."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from alteraser.errors import SnapshotCorrupt, SnapshotMissing
from alteraser.model import Watch
from ledger.runs import Lease
from workers.attempts import WAYS, Child, Way, first_to_pass
from workers.leasing import held, parent_of, take_lease
from workers.publishing import publish, written
from workers.training import trained_afresh
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def run_once(workbench: Workbench, model: str, ways: Mapping[str, Way] = WAYS) -> str | None:
    """Unlearn everything pending for one model and publish the child; do nothing where nothing is pending.

    Args:
        workbench: This worker's connections.
        model: Whose requests.
        ways: How to get from the parent to a child that passes the gates, tried in this order.

    Returns:
        Digest of the published child, or None.

    Raises:
        LeaseLost: Another worker has the run, and nothing of this one is left behind.
        NothingPassed: No way passed the gates; the run is recorded as failed and tried again later.
    """
    lease = take_lease(workbench, model)
    if lease is None:
        return None
    with held(workbench, lease) as heartbeat:
        child = _child(workbench, lease, ways, heartbeat)
        with written(workbench, child.snapshot) as digest:
            publish(workbench, lease, digest, child)
    workbench.doorbell.hint()
    log.info("child_published", model=model, run=str(lease.run_id), child=digest, requests=len(lease.request_ids))
    return digest


def _child(workbench: Workbench, lease: Lease, ways: Mapping[str, Way], watch: Watch) -> Child:
    """Unlearn from the parent; where its folder is damaged or gone, train on what the ledger still holds."""
    try:
        parent = parent_of(workbench, lease)
    except (SnapshotCorrupt, SnapshotMissing) as damage:
        log.error("parent_damaged", model=lease.model, run=str(lease.run_id), reason=str(damage))
        return trained_afresh(workbench, lease, watch)
    return first_to_pass(ways, workbench, lease, parent, watch)
