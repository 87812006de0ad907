"""Returning to an earlier generation: its parameters are published again, as the child of the current one."""

from __future__ import annotations

from dataclasses import replace

import structlog

from alteraser import snapshot
from ledger import overview, rollbacks, runs
from ledger.database import unit_of_work
from ledger.runs import Lease
from ledger.tables import Snapshot
from workers.attempts import Child
from workers.certificates import certify_run
from workers.errors import ModelBusy
from workers.leasing import held, log_leased
from workers.publishing import publish, written
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def roll_back(workbench: Workbench, model: str, version: int | None = None) -> str:
    """Publish an earlier generation again, fenced like any run; the watermark does not fall.

    Args:
        workbench: This worker's connections.
        model: Its name.
        version: Of the generation; None takes the newest that may come back.

    Returns:
        Digest of the published snapshot.

    Raises:
        UnknownModel: No model of that name is declared.
        ModelBusy: Another run of the model is live.
        NothingToReturnTo: The generation holds data of a recorded deletion, or is not kept any more.
        SnapshotCorrupt, SnapshotMissing: Its folder is not what was published.
    """
    lease, generation = _take(workbench, model, version)
    with held(workbench, lease):
        earlier = snapshot.read(workbench.snapshots, generation.digest)
        again = replace(earlier, watermark=lease.watermark, parent=lease.parent)
        report = {"algorithm": "rollback", "to": generation.version, "residual": earlier.residual, "gates": []}
        with written(workbench, again) as digest:
            publish(workbench, lease, digest, Child(again, report))
    workbench.doorbell.hint()
    log.info("model_rolled_back", model=model, run=str(lease.run_id), child=digest, to=generation.version)
    certify_run(workbench, lease.run_id)
    return digest


def _take(workbench: Workbench, model: str, version: int | None) -> tuple[Lease, Snapshot]:
    """Become the one live run, and see then, when nothing is published beside it, that the generation may come back."""
    with unit_of_work(workbench.database) as session:
        overview.model(session, model)
        lease = runs.lease(session, model, workbench.owner, workbench.settings.worker_lease_s, purpose="rollback")
        if lease is None:
            raise ModelBusy(model)
        generation = rollbacks.chosen(session, model, version)
    log_leased(lease)
    return lease, generation
