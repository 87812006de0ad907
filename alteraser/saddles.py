"""Saddles: found by curvature in random directions, and left, whichever solver stopped there.

A solver that starts in a subspace its objective's gradient never leaves (all factors zero, or two latent dimensions
equal) sees nothing outside of it, and neither do conjugate gradients from that gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from alteraser.errors import NotConverged
from alteraser.model import NewtonSystem, Objective, Parameters, Watch
from alteraser.solve import FLAT, InnerStep, Stationary, conjugate_gradients

MAX_ESCAPES = 20
"""Saddles that are left before a run is given up."""

REACH = (0.25, 0.06, 0.015, 0.004, 0.001)
"""Lengths tried away from a saddle, relative to the parameters' own norm."""

Descent: TypeAlias = Callable[[Parameters], Stationary]


def past_saddles(
    objective: Objective, start: Parameters, descend: Descent, *, scale: float, target: float, watch: Watch
) -> Stationary:
    """Return where ``descend`` ends once nothing leads further down from there.

    Args:
        objective: What is minimised.
        start: Where from.
        descend: Goes down to a stationary point.
        scale: What residuals in `NotConverged` are relative to.
        target: Absolute bound on the gradient's norm that ``descend`` keeps.
        watch: Told of every product.

    Raises:
        NotConverged: So many saddles were met that the objective must be without a minimum.
    """
    outer = inner = 0
    at = start
    for _ in range(MAX_ESCAPES):
        found = descend(at)
        probe = curvature_probe(objective.linearise(found.parameters, found.gradient, None), watch)
        outer, inner = outer + found.outer, inner + found.inner + probe.iterations
        if probe.least_curvature > -FLAT:
            return replace(found, outer=outer, inner=inner, least_curvature=probe.least_curvature)
        at = _left(objective, found.parameters, probe.v)
    raise NotConverged("saddles", found.gradient.norm() / scale, target / scale, outer)


@dataclass(frozen=True, slots=True)
class _Probe:
    """Newton's equations with another right-hand side."""

    system: NewtonSystem
    right_hand_side: Tensor

    def multiply(self, v: Tensor) -> Tensor:
        return self.system.multiply(v)

    def precondition(self, r: Tensor) -> Tensor:
        return self.system.precondition(r)

    def expand(self, v: Tensor) -> Parameters:
        return self.system.expand(v)


def curvature_probe(system: NewtonSystem, watch: Watch) -> InnerStep:
    """Run conjugate gradients from a random direction, which meet negative curvature if there is any worth speaking of.

    They are Lanczos's method in the preconditioner's norm: the smallest curvature met is close to the least there is.
    """
    like = system.right_hand_side
    noise = torch.randn(len(like), generator=torch.Generator().manual_seed(0)).to(like)
    return conjugate_gradients(_Probe(system, noise), math.inf, 0.0, watch)


def _left(objective: Objective, saddle: Parameters, step: Tensor) -> Parameters:
    """Return the lowest of a few points along a step that met negative curvature."""
    direction = step.double() * (saddle.norm() / float(step.norm()))
    points = [saddle.plus(saddle.shaped(sign * reach * direction)) for reach in REACH for sign in (1.0, -1.0)]
    return min(points, key=lambda at: objective.value_and_gradient(at)[0])
