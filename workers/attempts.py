"""The ways to a child without the deleted data, tried in order until one passes every gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from alteraser import crash
from alteraser.eraser import Unlearned, retrain, unlearn
from alteraser.errors import NotConverged
from alteraser.model import Progress, Watch
from alteraser.perturbation import fresh_noise
from alteraser.snapshot import Snapshot
from ledger.runs import Lease
from workers import gates
from workers.errors import NothingPassed
from workers.gates import Verdict
from workers.leasing import Parent
from workers.workbench import Workbench


@dataclass(frozen=True, slots=True)
class Child:
    """A snapshot that may be published.

    Attributes:
        snapshot: What is to be written.
        report: Why it may be published: what the ledger keeps of its run.
    """

    snapshot: Snapshot
    report: dict[str, Any]


Way: TypeAlias = Callable[[Workbench, Lease, Parent, Watch], Unlearned]


def by_unlearning(workbench: Workbench, lease: Lease, parent: Parent, watch: Watch) -> Unlearned:
    """AltEraser from the warm start."""
    return unlearn(
        parent.snapshot,
        lease.deletions,
        watermark=lease.watermark,
        parent_digest=parent.digest,
        tolerance=workbench.settings.worker_tolerance,
        noise=fresh_noise() if workbench.settings.worker_perturb else None,
        device=workbench.device,
        watch=watch,
    )


def by_retraining(workbench: Workbench, lease: Lease, parent: Parent, watch: Watch) -> Unlearned:
    """Exact training from random parameters, drawn anew for every run."""
    return retrain(
        parent.snapshot,
        lease.deletions,
        watermark=lease.watermark,
        parent_digest=parent.digest,
        seed=lease.run_id.fields[0],
        tolerance=workbench.settings.worker_tolerance,
        device=workbench.device,
        watch=watch,
    )


WAYS: Mapping[str, Way] = MappingProxyType({"unlearning": by_unlearning, "retraining": by_retraining})


def first_to_pass(ways: Mapping[str, Way], workbench: Workbench, lease: Lease, parent: Parent, watch: Watch) -> Child:
    """Return the child of the first way that converges and passes every gate.

    Raises:
        NothingPassed: None did.
    """
    refusals: dict[str, str] = {}
    for name, way in ways.items():
        try:
            found = way(workbench, lease, parent, watch)
        except NotConverged as error:
            refusals[name] = str(error)
            continue
        crash.point("gates.before")
        watch(Progress("gates", step=0, residual=found.report.residual))
        verdicts = _judge(workbench, lease, parent, found)
        if all(verdict.passed for verdict in verdicts):
            return Child(found.snapshot, gates.documented(found.report, verdicts, refusals))
        refusals[name] = gates.refusal(verdicts)
    raise NothingPassed(refusals)


def _judge(workbench: Workbench, lease: Lease, parent: Parent, found: Unlearned) -> list[Verdict]:
    settings, child = workbench.settings, found.snapshot
    return [
        gates.converged(found.report),
        gates.absent(child, lease.deletions),
        gates.finite(child),
        gates.accurate(child, parent.snapshot, settings.worker_accuracy_bound, settings.worker_accuracy_users),
    ]
