"""Limited-memory BFGS, preconditioned by the blocks: the other solver, for where a Hessian product buys too little.

The two-loop recursion of Nocedal ("Updating quasi-Newton matrices with limited storage", Mathematics of Computation
1980) starts from the inverse blocks of the Newton equations instead of a multiple of the identity. Steps satisfy the
Wolfe conditions; what it stops at is checked by `alteraser.saddles`. Pairs live as long as one call: carried across a
deletion they would remember.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from torch import Tensor

from alteraser.errors import NotConverged
from alteraser.model import NewtonSystem, Objective, Parameters, Progress, Watch
from alteraser.saddles import past_saddles
from alteraser.solve import ROUNDING, Stationary

MAX_STEPS = 400
MEMORY = 12
"""Pairs kept. Each holds two float64 vectors of the model's size."""

REFRESH = 25
"""Steps after which the blocks are made anew; the pairs stay."""

MAX_TRIALS = 25
SUFFICIENT, CURVATURE = 1e-4, 0.9
"""Wolfe's constants, as Nocedal and Wright advise for quasi-Newton steps."""


@dataclass(frozen=True, slots=True)
class Point:
    """An iterate.

    Attributes:
        at: The parameters.
        value: Of the objective.
        gradient: (m,) float64 flat.
    """

    at: Parameters
    value: float
    gradient: Tensor

    @classmethod
    def of(cls, objective: Objective, at: Parameters) -> Point:
        """Evaluate the objective."""
        value, gradient = objective.value_and_gradient(at)
        return cls(at, value, gradient.flat())

    @property
    def residual(self) -> float:
        """Return the gradient's Euclidean norm."""
        return float(self.gradient.norm())


@dataclass(slots=True)
class Memory:
    """The last steps and what they did to the gradient, behind the blocks of one iterate.

    Attributes:
        system: Whose blocks precondition.
        pairs: Steps s and gradient differences y, (m,) float64, with 1 / s.y.
    """

    system: NewtonSystem
    pairs: deque[tuple[Tensor, Tensor, float]] = field(default_factory=lambda: deque(maxlen=MEMORY))
    scaling: float = 1.0

    def remember(self, step: Tensor, change: Tensor) -> None:
        """Keep a pair of positive curvature; others would make the approximation indefinite."""
        product = float(step @ change)
        if product > 1e-12 * float(step.norm() * change.norm()):
            self.pairs.append((step, change, 1.0 / product))
            self.scaling = product / float(change @ self._solved(change))

    def direction(self, gradient: Tensor) -> Tensor:
        """Return minus the approximate inverse Hessian times the gradient, (m,) float64."""
        q, alphas = gradient.clone(), []
        for s, y, rho in reversed(self.pairs):
            alphas.append(rho * float(s @ q))
            q.add_(y, alpha=-alphas[-1])
        z = self._solved(q).mul_(self.scaling)
        for (s, y, rho), alpha in zip(self.pairs, reversed(alphas), strict=True):
            z.add_(s, alpha=alpha - rho * float(y @ z))
        return -z

    def _solved(self, r: Tensor) -> Tensor:
        """Return the inverse blocks times ``r``, of which float32 is given the direction and not the size."""
        size = float(r.norm()) or 1.0
        return self.system.precondition((r / size).float()).double().mul_(size)


def lbfgs(objective: Objective, start: Parameters, *, target: float, scale: float, watch: Watch) -> Stationary:
    """Minimise from ``start`` until the gradient norm is at most ``target`` and no negative curvature is found.

    The Newton equations must eliminate nothing: their vectors are in the order of `Parameters.flat`.

    Args:
        objective: What is minimised.
        start: Where from.
        target: Absolute bound on the gradient's Euclidean norm over all blocks.
        scale: What the residuals told to ``watch`` and to `NotConverged` are relative to.
        watch: Told the residual after every step.

    Raises:
        NotConverged: The bound was not reached.
    """

    def descended(at: Parameters) -> Stationary:
        return descend(objective, at, target=target, scale=scale, watch=watch)

    return past_saddles(objective, start, descended, scale=scale, target=target, watch=watch)


def descend(objective: Objective, start: Parameters, *, target: float, scale: float, watch: Watch) -> Stationary:
    """Return the first iterate whose gradient is small enough; nothing is known of the curvature there.

    Args and errors as of `lbfgs`.
    """
    point, memory = Point.of(objective, start), None
    for step in range(MAX_STEPS):
        watch(Progress("lbfgs", step, residual=point.residual / scale, objective=point.value))
        if point.residual <= target:
            return Stationary(point.at, point.value, point.at.shaped(point.gradient), step, 0, -math.inf)
        if memory is None or step % REFRESH == 0:
            system = objective.linearise(point.at, point.at.shaped(point.gradient), None)
            memory = Memory(system, memory.pairs) if memory else Memory(system)
        found = _along(objective, point, memory.direction(point.gradient))
        if found is None and not memory.pairs:
            break
        if found is None:
            memory = None  # the pairs mislead: once more from the blocks alone
            continue
        moved, length, direction = found
        memory.remember(length * direction, moved.gradient - point.gradient)
        point = moved
    raise NotConverged("lbfgs", point.residual / scale, target / scale, step + 1)


def _along(objective: Objective, start: Point, direction: Tensor) -> tuple[Point, float, Tensor] | None:
    """Return a point on the ray that meets the weak Wolfe conditions, its length and the ray; None if there is none.

    Bisection after a bracket is found (Lewis and Overton, "Nonsmooth optimization via quasi-Newton methods", 2013).
    Where the predicted decrease is lost in rounding the slopes alone decide (Hager and Zhang, SIAM J. Optim. 2005).
    """
    slope = float(start.gradient @ direction)
    if not slope < 0:
        return None
    low, high, length = 0.0, math.inf, 1.0
    for _ in range(MAX_TRIALS):
        point = Point.of(objective, start.at.plus(start.at.shaped(length * direction)))
        slope_there = float(point.gradient @ direction)
        if not _falls_enough(start, point, length, slope, slope_there):
            high = length
        elif slope_there < CURVATURE * slope:
            low = length
        else:
            return point, length, direction
        length = 0.5 * (low + high) if high < math.inf else 2.0 * length
    return None


def _falls_enough(start: Point, point: Point, length: float, slope: float, slope_there: float) -> bool:
    if not (math.isfinite(point.value) and math.isfinite(slope_there)):
        return False
    if -length * slope <= ROUNDING * abs(start.value):
        return slope_there <= (2 * SUFFICIENT - 1) * slope
    return point.value <= start.value + SUFFICIENT * length * slope
