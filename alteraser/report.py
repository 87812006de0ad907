"""What a solver says of its result: enough to judge it without running it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from alteraser.model import Objective, Parameters
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

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-able data."""
        return asdict(self)


def report_on(
    found: Stationary,
    objective: Objective,
    *,
    before: Parameters,
    scale: float,
    algorithm: str,
    tolerance: float,
    removed: Removed | None = None,
) -> Report:
    """Return the report on a stationary point.

    Args:
        found: Where the solver stopped.
        objective: What it minimised.
        before: The gradient where it started.
        scale: What residuals are relative to.
        algorithm: Name for the report.
        tolerance: Asked of the residual.
        removed: What left the data.
    """
    worst_before = before.worst_block()
    return Report(
        algorithm=algorithm,
        tolerance=tolerance,
        residual_before=before.norm() / scale,
        residual=found.gradient.norm() / scale,
        worst_block=found.gradient.worst_block() / worst_before if worst_before > 0 else 0.0,
        objective=found.objective,
        least_curvature=found.least_curvature,
        outer=found.outer,
        inner=found.inner,
        passes=objective.passes,
        removed=removed or Removed(),
    )
