"""The solver that suits an objective."""

from __future__ import annotations

from alteraser.lbfgs import lbfgs
from alteraser.model import Objective, Parameters, Watch
from alteraser.saddles import past_saddles
from alteraser.solve import Stationary, newton


def minimise(objective: Objective, start: Parameters, *, target: float, scale: float, watch: Watch) -> Stationary:
    """Minimise from anywhere by what the objective names; see `alteraser.solve.newton` and `alteraser.lbfgs.lbfgs`.

    Raises:
        NotConverged: The bound was not reached.
    """
    solver = newton if objective.solver == "newton" else lbfgs
    return solver(objective, start, target=target, scale=scale, watch=watch)


def refine(objective: Objective, start: Parameters, *, target: float, scale: float, watch: Watch) -> Stationary:
    """Minimise by Newton from near a minimum, past the saddles that a model of several minima has.

    Raises:
        NotConverged: The bound was not reached.
    """

    def descend(at: Parameters) -> Stationary:
        return newton(objective, at, target=target, scale=scale, watch=watch)

    if objective.solver == "newton":
        return descend(start)
    return past_saddles(objective, start, descend, scale=scale, target=target, watch=watch)
