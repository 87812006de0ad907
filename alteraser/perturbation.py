"""The random step before a model is published, so that what its solver left points at nobody.

A solver stops where the gradient is small, not where it is zero, and what is left of it lies along what was deleted:
whoever holds the parameters and all kept interactions can compute it, and tell whom the run forgot. So a run solves
`MARGIN` times further than it was asked to, and then steps at random until the gradient is as large as it may be.
This is output perturbation (Chaudhuri, Monteleoni, Sarwate, "Differentially Private Empirical Risk Minimization",
JMLR 2011), here with what Guo, Goldstein, Hannun and van der Maaten hide by perturbing the objective ("Certified Data
Removal from Machine Learning Models", ICML 2020). The step is nearly the inverse Hessian times white noise, so that
the gradient it leaves is nearly white. No (epsilon, delta) is claimed; `benchmarks.attack` measures what it hides.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from alteraser.model import Objective
from alteraser.solve import Stationary

MARGIN = 300.0
"""How many times smaller what is to be hidden is than what hides it. Its direction is one of as many as the model has
parameters, of which noise holds an equal share each: of a hundred thousand that is a three-hundredth."""

SHARE = 0.3
"""Of the room for the step that it is made to fill; what is beyond the quadratic model needs the rest."""


def fresh_noise() -> torch.Generator:
    """Return noise that nobody can draw again: the operating system seeds it, and the seed is kept nowhere."""
    noise = torch.Generator()
    noise.seed()
    return noise


def perturbed(objective: Objective, found: Stationary, bound: float, noise: torch.Generator) -> Stationary:
    """Return a random point beside a minimum, at which the gradient's norm is nearly ``bound`` and not above it.

    Args:
        objective: What was minimised.
        found: Its minimum, solved further than the bound; itself where there is no room for a step.
        bound: On the gradient's Euclidean norm.
        noise: Where the step is drawn from. Whoever can draw the same can take it back.
    """
    equations = found.equations or objective.linearise(found.parameters, found.gradient, None)
    like = equations.right_hand_side
    step = equations.precondition(torch.randn(len(like), generator=noise).to(like))
    reach, size = float(equations.multiply(step).norm()), SHARE * (bound - found.gradient.norm())
    if not (reach > 0 and size > 0):
        return found
    for length in (size, size / 2, size / 4):
        at = found.parameters.plus(equations.expand(step * (length / reach)))
        value, gradient = objective.value_and_gradient(at)
        if gradient.norm() <= bound:
            return replace(found, parameters=at, objective=value, gradient=gradient, perturbed=length)
    return found
