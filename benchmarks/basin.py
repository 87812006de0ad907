"""The minimum that a model leads to: what every answer is compared with where other minima may exist.

A kind with one minimum has one oracle, whatever the start; a neural kind has many, and what unlearning can be exact
against is the one its own iterate lies above. The solver is the product's, so that a cold retrain must stand beside it
wherever a kind has one minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alteraser.interactions import Interactions
from alteraser.kinds import kind as kind_of
from alteraser.model import Hyperparameters, Objective, Parameters, silent
from alteraser.snapshot import Snapshot
from alteraser.train import CPU, TOLERANCE, solve
from benchmarks.score_distance import score_distance


@dataclass(frozen=True, slots=True, eq=False)
class Basin:
    """A minimum over some data.

    Attributes:
        kind: Name of the model kind.
        data: The interactions.
        hyperparameters: Complete.
        objective: Over the data.
        scale: Norm of the L2 part of the gradient: what training's tolerance is relative to.
        oracle: The minimum.
        value: The objective there.
    """

    kind: str
    data: Interactions
    hyperparameters: Hyperparameters
    objective: Objective
    scale: float
    oracle: Parameters
    value: float

    @classmethod
    def of(cls, model: Snapshot) -> Basin:
        """Solve from a model, on its own data, to the tolerance of training.

        Raises:
            NotConverged: The tolerance was not reached.
        """
        objective = kind_of(model.kind).objective(model.interactions, model.hyperparameters, CPU)
        scale = objective.gradient_scale(model.parameters)
        found = solve(objective, model.parameters, target=TOLERANCE * scale, scale=scale, coarse=scale, watch=silent)
        data, hyperparameters = model.interactions, model.hyperparameters
        return cls(model.kind, data, hyperparameters, objective, scale, found.parameters, found.objective)

    def distance(self, one: Parameters, other: Parameters | None = None) -> float:
        """Return ``sqrt(sum (scores - scores')^2)`` over all pairs; between one model and the oracle if no other."""
        return score_distance(kind_of(self.kind), one, self.oracle if other is None else other)

    def rmse(self, one: Parameters, other: Parameters | None = None) -> float:
        """Return the root mean square of the same differences."""
        return self.distance(one, other) / float(np.sqrt(self.data.n_users * self.data.n_items))

    def influence(self, before: Parameters, after: Parameters) -> float:
        """Return RI all: ``sum (after - oracle)^2 / sum (before - oracle)^2`` over all pairs."""
        return (self.distance(after) / self.distance(before)) ** 2

    def gap(self, at: Parameters) -> float:
        """Return the objective above the oracle's; rounding may make it negative."""
        return self.objective.value_and_gradient(at)[0] - self.value
