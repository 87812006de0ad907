"""AltEraser: forget by optimising the training objective on what is left, warm-started from the live model.

That unlearning is this optimisation, that first order works and second order is faster, and that its cost is beaten by
dividing it into many small sub-problems is due to Liu et al., "Forgetting Fast in Recommender Systems" (arXiv
2208.06875). The blocks, their order and the solvers are this project's:

1. the *local step*: rows whose interactions changed move once towards their sub-problems' minimisers;
2. safeguarded truncated Newton over all rows, preconditioned by the sub-problems, until the gradient is `tolerance`
   times what the deletion left behind;
3. where asked for, a random step that hides what is left of it (`alteraser.perturbation`).

No state of an optimiser is carried across a deletion: it would remember.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions, rows_in
from alteraser.kinds import kind as kind_of
from alteraser.model import LocalStep, Objective, Parameters, Progress, RemovedTerms, Watch, silent
from alteraser.perturbation import MARGIN, perturbed
from alteraser.report import PredictedCost, Removed, Report, report_on
from alteraser.snapshot import Snapshot
from alteraser.solve import Stationary, newton
from alteraser.stopwatch import Stopwatch
from alteraser.train import CPU, SWEEPS, alternate, solve
from alteraser.train import TOLERANCE as TRAINING_TOLERANCE

TOLERANCE = 1e-2
"""Relative to the gradient the deletion left at the warm start. Calibrated for `wmf` in `benchmarks.calibration`."""


AUDITS_BELOW = 1e-3
"""At tolerances below this the width is fitted again whatever the equations say, and saddles are looked for in random
directions. Forgetting can make a dimension useless, and such a dimension holds about this share of what the deletion
moved; one more that is of use shows in the equations and is added at every tolerance: no gradient tells that it is
missing, and over many deletions what it would hold grows. Negative curvature that steps meet is heeded at any."""

COST_OF_OUTER, COST_OF_SWEEP = 8.0, 8.0
"""Of setting up Newton's equations and of a sweep, in products with the Hessian."""

WARM_OUTER, WARM_OUTER_PER_SHARE, WARM_PRODUCTS = 2.0, 60.0, 25.0
COLD_OUTER, COLD_PRODUCTS = 18.0, 60.0


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
    noise: torch.Generator | None = None,
    device: torch.device = CPU,
    watch: Watch = silent,
) -> Unlearned:
    """Return the child of ``parent`` that has forgotten ``deletions``, all of them in one run.

    From the warm start, or by retraining where that is predicted to cost less; the report says which.

    Args:
        parent: The live model and the interactions it was trained on.
        deletions: What to forget; ids unknown to the parent are nothing to forget.
        watermark: The erasure watermark the child satisfies.
        parent_digest: The parent's digest, for the child's manifest.
        tolerance: Bound on the gradient's norm, relative to its norm at the warm start.
        noise: Where the step that hides what is left of the gradient is drawn from; none is taken when None.
        device: Where to compute.
        watch: Told of every step.

    Raises:
        NotConverged: The tolerance was not reached; there is no child.
    """
    clock = Stopwatch()
    forgetting = Forgetting.of(parent, deletions, device)
    clock.end("index")
    predicted = forgetting.predicted()
    if predicted.retrain < predicted.alteraser:
        return _retrained(forgetting, 0, tolerance, watermark, parent_digest, clock, watch)
    left = local_step(forgetting, watch)
    clock.end("local")
    further = tolerance / MARGIN if noise else tolerance
    target, scale = _target(forgetting, forgetting.warm, left, further), left.gradient or 1.0
    found = _solved(forgetting, target, scale, watch, audits=tolerance < AUDITS_BELOW)
    clock.end("newton")
    if noise is not None and left.gradient:
        bound = _target(forgetting, found.parameters, left, tolerance)
        found = perturbed(forgetting.objective, found, bound, noise)
        clock.end("perturbation")
    return _child(forgetting, found, left, "alteraser", tolerance, watermark, parent_digest, clock)


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
    clock = Stopwatch()
    forgetting = Forgetting.of(parent, deletions, device)
    clock.end("index")
    return _retrained(forgetting, seed, tolerance, watermark, parent_digest, clock, watch)


def _solved(forgetting: Forgetting, target: float, scale: float, watch: Watch, *, audits: bool) -> Stationary:
    """Solve from the warm start; with the width fitted where asked to or where the equations showed it too small."""
    objective, start = forgetting.objective, forgetting.warm
    if not audits:
        found = newton(objective, start, target=target, scale=scale, watch=watch)
        if not objective.outgrown:
            return found
        start = found.parameters
    return solve(objective, start, target=target, scale=scale, coarse=scale, watch=watch, solver=newton)


def _retrained(
    forgetting: Forgetting,
    seed: int,
    tolerance: float,
    watermark: int,
    parent_digest: str,
    clock: Stopwatch,
    watch: Watch,
) -> Unlearned:
    parent, objective = forgetting.parent, forgetting.objective
    generator = torch.Generator().manual_seed(seed)
    start = kind_of(parent.kind).initialise(forgetting.kept, parent.hyperparameters, generator)
    at = alternate(objective, start.to(forgetting.warm.users.device), SWEEPS, watch)
    clock.end("sweeps")
    left = objective.local_step(forgetting.warm, forgetting.removed)
    found = solve(
        objective,
        at,
        target=_target(forgetting, at, left, tolerance),
        scale=left.gradient or 1.0,
        coarse=objective.gradient_scale(at),
        watch=watch,
    )
    clock.end("newton")
    return _child(forgetting, found, left, "retrain", tolerance, watermark, parent_digest, clock)


@dataclass(frozen=True, slots=True)
class Forgetting:
    """One deletion as an optimisation problem, ready to be solved.

    Attributes:
        parent: The live model.
        kept: Its interactions without what is deleted.
        objective: Over the kept interactions, prepared for the local step.
        warm: The parent's blocks of the rows that are kept, on the objective's device; a copy that may be written to.
        removed: The terms that were taken away.
    """

    parent: Snapshot
    kept: Interactions
    objective: Objective
    warm: Parameters
    removed: RemovedTerms

    @classmethod
    def of(cls, parent: Snapshot, deletions: Deletions, device: torch.device) -> Forgetting:
        """Take the deletions out of the parent's interactions and set up the objective over what is kept."""
        before, parameters = parent.interactions, parent.parameters
        kept = before.without(deletions)
        users, items = rows_in(kept.users, before.users), rows_in(kept.items, before.items)
        warm = Parameters(parameters.users[users], parameters.items[items], parameters.shared.clone()).to(device)
        objective = kind_of(parent.kind).objective(kept, parent.hyperparameters, device)
        objective.prepare(warm)
        gone_users, gone_items = before.pairs_of(deletions)
        removed = RemovedTerms(
            before=parameters.to(device),
            users=torch.from_numpy(gone_users).to(device),
            items=torch.from_numpy(gone_items).to(device),
            kept_users=_rows_after(users, before.n_users).to(device),
            kept_items=_rows_after(items, before.n_items).to(device),
        )
        return cls(parent, kept, objective, warm, removed)

    @property
    def changed_users(self) -> NDArray[np.int64]:
        """Return the kept users, as rows of ``kept``, that lost an interaction."""
        return _changed(self.removed.kept_users, self.removed.users)

    @property
    def changed_items(self) -> NDArray[np.int64]:
        """Return the kept items, as rows of ``kept``, that lost an interaction."""
        return _changed(self.removed.kept_items, self.removed.items)

    def what_left(self) -> Removed:
        """Return how much left the data."""
        before = self.parent.interactions
        return Removed(
            users=before.n_users - self.kept.n_users,
            items=before.n_items - self.kept.n_items,
            interactions=len(before) - len(self.kept),
        )

    def predicted(self) -> PredictedCost:
        """Return what solving from the warm start and retraining are each expected to cost.

        What makes a warm start far from the new minimum is not how many rows leave but how much those that stay lose.
        Fitted to MovieLens-100K with 1 to 97 % of the users or of the interactions forgotten (docs/algorithm.md).
        """
        removed = self.removed
        stay = (removed.kept_users[removed.users] >= 0) & (removed.kept_items[removed.items] >= 0)
        thinned = int(stay.sum()) / max(len(self.kept), 1)
        outer = WARM_OUTER + WARM_OUTER_PER_SHARE * thinned
        return PredictedCost(
            alteraser=outer * COST_OF_OUTER + WARM_PRODUCTS,
            retrain=SWEEPS * COST_OF_SWEEP + COLD_OUTER * COST_OF_OUTER + COLD_PRODUCTS,
        )

    def carried_over(self) -> Parameters:
        """Return the parent's blocks of the rows that are kept: what doing nothing would go on serving."""
        before, kept, parameters = self.parent.interactions, self.kept, self.parent.parameters
        users, items = rows_in(kept.users, before.users), rows_in(kept.items, before.items)
        return Parameters(parameters.users[users], parameters.items[items], parameters.shared)


def local_step(forgetting: Forgetting, watch: Watch = silent) -> LocalStep:
    """Move the rows that lost an interaction, in ``forgetting.warm`` itself, one step towards their minimisers.

    Its cost follows the deletion, not the model: nothing of the model's size is read, written or copied.
    """
    step = forgetting.objective.local_step(forgetting.warm, forgetting.removed)
    forgetting.warm.users[step.user_rows] += step.users
    forgetting.warm.items[step.item_rows] += step.items
    watch(Progress("local", 1, of=1))
    return step


def _rows_after(kept: NDArray[np.int64], n_before: int) -> Tensor:
    """Return for each row of the parent its row among those kept, or -1, (n_before,)."""
    rows = np.full(n_before, -1, dtype=np.int64)
    rows[kept] = np.arange(len(kept))
    return torch.from_numpy(rows)


def _changed(row_after: Tensor, lost_by: Tensor) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = torch.unique(row_after[lost_by]).cpu().numpy()
    return rows[rows >= 0]


def _target(forgetting: Forgetting, start: Parameters, left: LocalStep, tolerance: float) -> float:
    """Return the gradient norm to reach; nothing is asked to be better than training was."""
    return max(tolerance * left.gradient, TRAINING_TOLERANCE * forgetting.objective.gradient_scale(start))


def _child(
    forgetting: Forgetting,
    found: Stationary,
    left: LocalStep,
    algorithm: str,
    tolerance: float,
    watermark: int,
    parent_digest: str,
    clock: Stopwatch,
) -> Unlearned:
    """Make the child of where the solver stopped."""
    parent, parameters = forgetting.parent, found.parameters.to(CPU)
    scale = left.gradient or 1.0
    report = report_on(
        found,
        forgetting.objective,
        scale=scale,
        worst_block_before=left.worst_block,
        residual_before=left.gradient / scale,
        algorithm=algorithm,
        tolerance=_target(forgetting, found.parameters, left, tolerance) / scale,
        removed=forgetting.what_left(),
        moved=kind_of(parent.kind).distance(forgetting.carried_over(), parameters),
        predicted=forgetting.predicted(),
        seconds=clock.seconds,
    )
    child = replace(
        parent,
        parameters=parameters,
        interactions=forgetting.kept,
        watermark=watermark,
        parent=parent_digest,
        residual=report.residual,
    )
    return Unlearned(child, report)
