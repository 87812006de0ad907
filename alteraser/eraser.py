"""AltEraser: forget by optimising the training objective on what is left, warm-started from the live model.

That unlearning is this optimisation, that first order works and second order is faster, and that its cost is beaten by
dividing it into many small sub-problems is due to Liu et al., "Forgetting Fast in Recommender Systems" (arXiv
2208.06875). The blocks, their order and the solvers are this project's:

1. the *local step*: rows whose interactions changed are solved once, given all others;
2. safeguarded truncated Newton over all rows, preconditioned by the sub-problems, until the gradient is `tolerance`
   times what the deletion left behind.

No state of an optimiser is carried across a deletion: it would remember.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions, rows_in
from alteraser.kinds import kind as kind_of
from alteraser.model import Objective, Parameters, Progress, Watch, silent
from alteraser.report import Removed, Report, report_on
from alteraser.snapshot import Snapshot
from alteraser.solve import newton
from alteraser.train import CPU, SWEEPS, alternate
from alteraser.train import TOLERANCE as TRAINING_TOLERANCE

TOLERANCE = 1e-2
"""Relative to the gradient the deletion left at the warm start. Calibrated for `wmf` in `benchmarks.calibration`."""


@dataclass(frozen=True, slots=True)
class Unlearned:
    """A model that has forgotten.

    Attributes:
        snapshot: The child: parameters and interactions without what was deleted.
        report: How it went.
    """

    snapshot: Snapshot
    report: Report


def unlearn(
    parent: Snapshot,
    deletions: Deletions,
    *,
    watermark: int,
    parent_digest: str,
    tolerance: float = TOLERANCE,
    device: torch.device = CPU,
    watch: Watch = silent,
) -> Unlearned:
    """Return the child of ``parent`` that has forgotten ``deletions``.

    Args:
        parent: The live model and the interactions it was trained on.
        deletions: What to forget; ids unknown to the parent are nothing to forget.
        watermark: The erasure watermark the child satisfies.
        parent_digest: The parent's digest, for the child's manifest.
        tolerance: Bound on the gradient's norm, relative to its norm at the warm start.
        device: Where to compute.
        watch: Told of every step.

    Raises:
        NotConverged: The tolerance was not reached; there is no child.
    """
    forgetting = _Forgetting.of(parent, deletions, device)
    at = local_step(forgetting, watch)
    return _settle(forgetting, at, "alteraser", tolerance, watermark, parent_digest, watch)


def retrain(
    parent: Snapshot,
    deletions: Deletions,
    *,
    watermark: int,
    parent_digest: str,
    seed: int,
    tolerance: float = TOLERANCE,
    device: torch.device = CPU,
    watch: Watch = silent,
) -> Unlearned:
    """Return what `unlearn` returns, by training from random parameters on the kept data.

    Raises:
        NotConverged: The tolerance was not reached; there is no child.
    """
    forgetting = _Forgetting.of(parent, deletions, device)
    generator = torch.Generator().manual_seed(seed)
    start = kind_of(parent.kind).initialise(forgetting.kept, parent.hyperparameters, generator).to(device)
    at = alternate(forgetting.objective, start, SWEEPS, watch)
    return _settle(forgetting, at, "retrain", tolerance, watermark, parent_digest, watch)


@dataclass(frozen=True, slots=True)
class _Forgetting:
    """One deletion as an optimisation problem.

    Attributes:
        parent: The live model.
        kept: Its interactions without what is deleted.
        objective: Over the kept interactions.
        warm: The parent's blocks of the rows that are kept, on the objective's device.
        changed_users: Kept rows that lost an interaction.
        changed_items: Kept rows that lost an interaction.
    """

    parent: Snapshot
    kept: Interactions
    objective: Objective
    warm: Parameters
    changed_users: NDArray[np.int64]
    changed_items: NDArray[np.int64]

    @classmethod
    def of(cls, parent: Snapshot, deletions: Deletions, device: torch.device) -> _Forgetting:
        before, parameters = parent.interactions, parent.parameters
        kept = before.without(deletions)
        users, items = rows_in(kept.users, before.users), rows_in(kept.items, before.items)
        return cls(
            parent,
            kept,
            kind_of(parent.kind).objective(kept, parent.hyperparameters, device),
            Parameters(parameters.users[users], parameters.items[items], parameters.shared).to(device),
            np.flatnonzero(kept.by_user.counts != before.by_user.counts[users]),
            np.flatnonzero(kept.by_item.counts != before.by_item.counts[items]),
        )

    def removed(self) -> Removed:
        before = self.parent.interactions
        return Removed(
            users=before.n_users - self.kept.n_users,
            items=before.n_items - self.kept.n_items,
            interactions=len(before) - len(self.kept),
        )


def local_step(forgetting: _Forgetting, watch: Watch) -> Parameters:
    """Return the warm start after one solve of every row that lost an interaction, given all other rows."""
    at, objective = forgetting.warm, forgetting.objective
    if len(forgetting.changed_items):
        at = objective.solve_blocks(at, "items", forgetting.changed_items)
    if len(forgetting.changed_users):
        at = objective.solve_blocks(at, "users", forgetting.changed_users)
    watch(Progress("local", 1, of=1))
    return at


def _settle(
    forgetting: _Forgetting,
    start: Parameters,
    algorithm: str,
    tolerance: float,
    watermark: int,
    parent_digest: str,
    watch: Watch,
) -> Unlearned:
    """Bring ``start`` to the tolerance by Newton and make the child of it."""
    objective, parent = forgetting.objective, forgetting.parent
    _, left_behind = objective.value_and_gradient(forgetting.warm)
    trained = TRAINING_TOLERANCE * objective.gradient_scale(forgetting.warm)
    target = max(tolerance * left_behind.norm(), trained)  # nothing is asked to be better than training was
    scale = left_behind.norm() or 1.0
    found = newton(objective, start, target=target, scale=scale, watch=watch)
    report = report_on(
        found,
        objective,
        before=left_behind,
        scale=scale,
        algorithm=algorithm,
        tolerance=target / scale,
        removed=forgetting.removed(),
    )
    child = replace(
        parent,
        parameters=found.parameters.to(CPU),
        interactions=forgetting.kept,
        watermark=watermark,
        parent=parent_digest,
        residual=report.residual,
    )
    return Unlearned(child, report)
