"""What a solver says of its result: enough to judge it without running it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from alteraser.model import Objective
from alteraser.solve import Stationary


@dataclass(frozen=True, slots=True)
class Removed:
    """What left the data.

    Attributes:
        users: Users that left the vocabulary.
        items: Items that left the vocabulary.
        interactions: Pairs that left.
    """

    users: int = 0
    items: int = 0
    interactions: int = 0


@dataclass(frozen=True, slots=True)
class PredictedCost:
    """What two ways to the same minimum were expected to cost, in products with the Hessian.

    Attributes:
        alteraser: From the warm start.
        retrain: From random parameters.
    """

    alteraser: float
    retrain: float


@dataclass(frozen=True, slots=True)
class Report:
    """How a training or an unlearning ended.

    Attributes:
        algorithm: ``train``, ``alteraser`` or ``retrain``.
        tolerance: Asked of the residual.
        residual_before: Gradient norm at the start over the scale.
        residual: Gradient norm at the end over the scale; the scale is the L2 part of the gradient in training, and
            the gradient that the deletion left at the warm start in unlearning.
        worst_block: Largest gradient norm of one block at the end over the largest at the start.
        objective: Value of the objective, a sum over interactions plus L2.
        least_curvature: Smallest curvature met in the last outer iteration, relative to the preconditioner's.
        outer: Newton iterations.
        inner: Products with the Hessian.
        passes: Times the interactions were gone through outside those products.
        removed: What left the data.
        moved: ``|X_before - X_after|_F`` over the scores of the kept users and items; 0 in training.
        perturbed: Gradient norm of the random step that was taken last, over the scale; 0 where none was.
        predicted: What the algorithm was chosen by; None in training.
        seconds: Wall-clock seconds by phase.
    """

    algorithm: str
    tolerance: float
    residual_before: float
    residual: float
    worst_block: float
    objective: float
    least_curvature: float
    outer: int
    inner: int
    passes: int
    removed: Removed
    moved: float
    perturbed: float
    predicted: PredictedCost | None
    seconds: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able data."""
        return asdict(self)


def report_on(
    found: Stationary,
    objective: Objective,
    *,
    scale: float,
    residual_before: float,
    worst_block_before: float,
    algorithm: str,
    tolerance: float,
    seconds: dict[str, float],
    removed: Removed | None = None,
    moved: float = 0.0,
    predicted: PredictedCost | None = None,
) -> Report:
    """Return the report on a stationary point.

    Args:
        found: Where the solver stopped.
        objective: What it minimised.
        scale: What residuals are relative to.
        residual_before: Gradient norm at the start over the scale.
        worst_block_before: Largest gradient norm of one block at the start.
        algorithm: Name for the report.
        tolerance: Asked of the residual.
        seconds: Wall-clock seconds by phase.
        removed: What left the data.
        moved: How far the scores moved.
        predicted: What the algorithm was chosen by.
    """
    return Report(
        algorithm=algorithm,
        tolerance=tolerance,
        residual_before=residual_before,
        residual=found.gradient.norm() / scale,
        worst_block=found.gradient.worst_block() / worst_block_before if worst_block_before > 0 else 0.0,
        objective=found.objective,
        least_curvature=found.least_curvature,
        outer=found.outer,
        inner=found.inner,
        passes=objective.passes,
        removed=removed or Removed(),
        moved=moved,
        perturbed=found.perturbed / scale,
        predicted=predicted,
        seconds=dict(seconds),
    )
