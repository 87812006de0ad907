"""One unlearning run, from the lease to the published child. Start reading here."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from workers.attempts import WAYS, Way, first_to_pass
from workers.leasing import held, parent_of, take_lease
from workers.publishing import publish, written
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
        parent = parent_of(workbench, lease)
        child = first_to_pass(ways, workbench, lease, parent, heartbeat)
        with written(workbench, child.snapshot) as digest:
            publish(workbench, lease, digest, child)
    workbench.doorbell.hint()
    log.info("child_published", model=model, run=str(lease.run_id), child=digest, requests=len(lease.request_ids))
    return digest
