"""Training a model on what the ledger holds, fenced and published like an unlearning run."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from alteraser.interactions import Interactions
from alteraser.kinds import kind as kind_of
from alteraser.model import Progress, Watch, silent
from alteraser.snapshot import Snapshot
from alteraser.train import Trained, train
from ledger import interactions, overview, runs
from ledger.database import unit_of_work
from ledger.runs import Lease
from workers import gates
from workers.attempts import Child
from workers.certificates import certify_run
from workers.errors import ModelBusy, NothingPassed, NothingToTrainOn
from workers.leasing import held, take_lease
from workers.publishing import publish, written
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def train_once(
    workbench: Workbench,
    model: str,
    *,
    kind: str = "wmf",
    given: Mapping[str, object] | None = None,
    seed: int = 0,
    watch: Watch = silent,
) -> str:
    """Train a model from random parameters on all interactions nobody asked to delete, publish and certify it.

    Args:
        workbench: This worker's connections.
        model: Its name, new or old.
        kind: Name of the model kind.
        given: Hyper-parameters that differ from the kind's defaults.
        seed: Of the random start.
        watch: Told of every step, beside the ledger.

    Returns:
        Digest of the published snapshot.

    Raises:
        ModelBusy: Another run of the model is live.
        NothingToTrainOn: The ledger holds no interaction.
        NotConverged, NothingPassed: There is no snapshot to publish; the run is recorded as failed.
    """
    kind_of(kind)  # before the ledger binds the name to it
    with unit_of_work(workbench.database) as session:
        runs.declare(session, model, kind)  # before the data is read: whatever is asked from now on asks this model too
    lease = take_lease(workbench, model, purpose="train")
    if lease is None:
        raise ModelBusy(model)
    with held(workbench, lease) as heartbeat:
        child = _trained(workbench, lease, kind, given or {}, seed, _both(heartbeat, watch))
        with written(workbench, child.snapshot) as digest:
            publish(workbench, lease, digest, child)
    workbench.doorbell.hint()
    log.info("model_trained", model=model, run=str(lease.run_id), child=digest)
    certify_run(workbench, lease.run_id)
    return digest


def trained_afresh(workbench: Workbench, lease: Lease, watch: Watch) -> Child:
    """Train the leased model again on all interactions nobody asked to delete, as it was trained before.

    Raises:
        NothingToTrainOn: The ledger holds no interaction.
        NotConverged, NothingPassed: There is no snapshot to publish.
    """
    with unit_of_work(workbench.database) as session:
        declared = overview.model(session, lease.model).model
    return _trained(workbench, lease, declared.kind, declared.hyperparameters, lease.run_id.fields[0], watch)


def _trained(
    workbench: Workbench, lease: Lease, kind: str, given: Mapping[str, object], seed: int, watch: Watch
) -> Child:
    """Train on all interactions nobody asked to delete, and judge what comes out."""
    with unit_of_work(workbench.database) as session:
        data = interactions.read(session)
    if not len(data):
        raise NothingToTrainOn
    trained = train(kind, given, data, seed=seed, device=workbench.device, watch=watch)
    return _through_gates(kind, data, trained, lease)


def _through_gates(kind: str, data: Interactions, trained: Trained, lease: Lease) -> Child:
    """Make the snapshot and judge it; accuracy is not compared, for the parent may know other data.

    Raises:
        NothingPassed: A gate refused it.
    """
    child = Snapshot(
        kind=kind,
        hyperparameters=trained.hyperparameters,
        parameters=trained.parameters,
        interactions=data,
        watermark=lease.watermark,
        parent=lease.parent,
        residual=trained.report.residual,
    )
    verdicts = [gates.converged(trained.report), gates.absent(child, lease.deletions), gates.finite(child)]
    if not all(verdict.passed for verdict in verdicts):
        raise NothingPassed({"train": gates.refusal(verdicts)})
    return Child(child, gates.documented(trained.report, verdicts))


def _both(first: Watch, second: Watch) -> Watch:
    def watch(progress: Progress) -> None:
        first(progress)
        second(progress)

    return watch
