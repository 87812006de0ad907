"""Safeguarded truncated Newton: the one solver for training and for unlearning, whatever the model kind.

Outer iterations linearise the objective at the iterate and accept a step on actual against predicted decrease in
float64; inner iterations are conjugate gradients on the Newton equations, preconditioned by the block
sub-problems, inside a trust region (Steihaug, "The conjugate gradient method and trust regions in large scale
optimization", SIAM J. Numer. Anal. 1983). Directions of negative curvature are followed to the boundary, so that a
saddle is left and never taken for a minimum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from alteraser.errors import NotConverged
from alteraser.model import NewtonSystem, Objective, Parameters, Progress, Watch

MAX_OUTER = 100
MAX_INNER = 40
FORCING = 0.02
"""The inner residual is reduced this far, no further: beyond it the quadratic model's own error is larger."""

ENOUGH = 0.3
"""An inner residual of this share of the outer target is small enough."""

FLAT = 1e-5
"""Curvature, relative to the preconditioner's, that float32 cannot tell from zero. Rotating both factor matrices
leaves a factor model's objective as it is, so exactly flat directions exist; the gradient has no part in them."""

ROUNDING = 1e-13
"""Predicted decreases below this share of the objective are lost in float64 rounding: there the gradient decides."""

NEAR = 0.1
"""Where a step shrank the gradient this far, the parts of its equations that change little are used once more."""

ACCEPT = 1e-4
"""Agreement of actual with predicted decrease above which a step is taken."""

HOPELESS = 1e-9
"""A trust region that has shrunk to this share of a step has nothing left to find."""


@dataclass(frozen=True, slots=True)
class Stationary:
    """Where a solver stopped: the gradient is small and no negative curvature was seen.

    Attributes:
        parameters: The iterate.
        objective: Its value.
        gradient: Its gradient.
        outer: Outer iterations.
        inner: Inner iterations, all told.
        least_curvature: Smallest curvature met in the last outer iteration, relative to the preconditioner's.
        equations: The last Newton equations, of an iterate near this one; None where there were none.
        perturbed: Norm of the gradient of the random step that was taken from there; 0 where none was.
    """

    parameters: Parameters
    objective: float
    gradient: Parameters
    outer: int
    inner: int
    least_curvature: float
    equations: NewtonSystem | None = None
    perturbed: float = 0.0


@dataclass(frozen=True, slots=True)
class InnerStep:
    """What conjugate gradients found.

    Attributes:
        v: (m,) float32 the step.
        decrease: What the quadratic model gains by it.
        norm: Its length in the preconditioner's norm.
        bounded: It ends on the trust region's boundary.
        iterations: Products with the Hessian.
        least_curvature: Smallest ``p^T H p / p^T M p`` met.
    """

    v: Tensor
    decrease: float
    norm: float
    bounded: bool
    iterations: int
    least_curvature: float


def newton(objective: Objective, start: Parameters, *, target: float, scale: float, watch: Watch) -> Stationary:
    """Minimise from ``start`` until the gradient norm is at most ``target`` and no negative curvature is seen.

    Args:
        objective: What is minimised.
        start: Where from.
        target: Absolute bound on the gradient's Euclidean norm over all blocks.
        scale: What the residuals told to ``watch`` and to `NotConverged` are relative to.
        watch: Told the residual after every outer, and of every inner iteration.

    Raises:
        NotConverged: The bound was not reached.
    """
    at = start
    value, gradient = objective.value_and_gradient(at)
    last: NewtonSystem | None = None
    near: NewtonSystem | None = None
    system: NewtonSystem | None = None
    radius, curvature, inner = math.inf, -math.inf, 0
    for outer in range(MAX_OUTER):
        residual = gradient.norm()
        watch(Progress("newton", outer, residual=residual / scale, objective=value))
        if residual <= target and curvature > -FLAT:
            return Stationary(at, value, gradient, outer, inner, curvature, last)
        last = system = system or objective.linearise(at, gradient, near)
        step = conjugate_gradients(system, radius, ENOUGH * target, watch)
        inner, curvature = inner + step.iterations, step.least_curvature
        trial = at.plus(system.expand(step.v))
        trial_value, trial_gradient = objective.value_and_gradient(trial)
        agreement = _agreement(step.decrease, value, trial_value, residual, trial_gradient.norm())
        radius = _next_radius(radius, step, agreement)
        if agreement > ACCEPT:
            at, value, gradient = trial, trial_value, trial_gradient
            near, system = (system if gradient.norm() < NEAR * residual else None), None
        elif near is not None:
            near = system = None  # not near enough: the next equations are built afresh
        elif radius < HOPELESS * step.norm or not math.isfinite(residual):
            break
    raise NotConverged("newton", gradient.norm() / scale, target / scale, outer + 1)


def conjugate_gradients(system: NewtonSystem, radius: float, enough: float, watch: Watch) -> InnerStep:
    """Solve the Newton equations to `FORCING`, inside a ball of the preconditioner's norm.

    Args:
        system: The equations.
        radius: Of the ball; may be infinite.
        enough: Euclidean norm of the equations' residual that is small enough, however large it was.
        watch: Told of every iteration.
    """
    r = system.right_hand_side.clone()
    v = torch.zeros_like(r)
    z = system.precondition(r)
    p = z
    rz = rz_0 = _dot(r, z)
    pMp, vMp, vMv = rz, 0.0, 0.0
    decrease, least = 0.0, math.inf
    for iteration in range(1, MAX_INNER + 1):
        if not pMp > 0:
            return InnerStep(v, decrease, math.sqrt(vMv), False, iteration - 1, least)
        watch(Progress("conjugate gradients", iteration))
        Hp = system.multiply(p)
        pHp = _dot(p, Hp)
        least = min(least, pHp / pMp)
        alpha = rz / pHp if pHp > FLAT * pMp else math.inf
        if abs(pHp) <= FLAT * pMp:
            return InnerStep(v, decrease, math.sqrt(vMv), False, iteration, least)
        if vMv + 2 * alpha * vMp + alpha * alpha * pMp >= radius * radius or alpha == math.inf:
            reach = radius if radius < math.inf else 2 * math.sqrt(max(vMv, rz_0))
            tau = _to_boundary(pMp, vMp, vMv - reach * reach)
            return InnerStep(v + tau * p, decrease + tau * rz - 0.5 * tau * tau * pHp, reach, True, iteration, least)
        v.add_(p, alpha=alpha)
        r.sub_(Hp, alpha=alpha)
        decrease += 0.5 * alpha * rz
        vMv += 2 * alpha * vMp + alpha * alpha * pMp
        z = system.precondition(r)
        rz, rz_before = _dot(r, z), rz
        if rz <= FORCING * FORCING * rz_0 or float(r.norm()) <= enough:
            break
        beta = rz / rz_before
        vMp = beta * (vMp + alpha * pMp)
        pMp = rz + beta * beta * pMp
        p = torch.add(z, p, alpha=beta)
    return InnerStep(v, decrease, math.sqrt(vMv), False, iteration, least)


def _agreement(predicted: float, before: float, after: float, residual: float, residual_after: float) -> float:
    """Return actual over predicted decrease; below float64's rounding, whether the gradient fell instead."""
    if not (math.isfinite(after) and math.isfinite(residual_after)):
        return -math.inf
    if predicted <= ROUNDING * abs(before):
        return 1.0 if residual_after < residual else -1.0
    return (before - after) / predicted


def _next_radius(radius: float, step: InnerStep, agreement: float) -> float:
    if agreement < 0.25:
        return 0.25 * step.norm
    if agreement > 0.75 and step.bounded:
        return 2.0 * step.norm
    return radius


def _to_boundary(a: float, b: float, c: float) -> float:
    """Return the positive root of ``a t^2 + 2 b t + c``."""
    return (-b + math.sqrt(max(b * b - a * c, 0.0))) / a


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a, b))
