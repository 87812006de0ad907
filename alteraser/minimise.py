"""Which solver when: Newton, or L-BFGS from far off and Newton from near."""

from __future__ import annotations

from typing import Protocol

from alteraser.lbfgs import descend
from alteraser.model import Objective, Parameters, Watch
from alteraser.saddles import past_saddles
from alteraser.solve import Stationary, newton


class Minimiser(Protocol):
    """What goes down from a start until the gradient is small enough: `minimise`, `newton`, `descend`."""

    def __call__(
        self, objective: Objective, start: Parameters, /, *, target: float, scale: float, watch: Watch
    ) -> Stationary:
        """Return where it ends; raise `NotConverged` where it does not."""


def minimise(objective: Objective, start: Parameters, *, target: float, scale: float, watch: Watch) -> Stationary:
    """Minimise from anywhere by the solver that suits the objective; see `newton` and `descend`.

    Of the curvature where L-BFGS stops nothing is known: `refine` finds out.

    Raises:
        NotConverged: The bound was not reached.
    """
    solver: Minimiser = newton if objective.solver == "newton" else descend
    return solver(objective, start, target=target, scale=scale, watch=watch)


def refine(objective: Objective, start: Parameters, *, target: float, scale: float, watch: Watch) -> Stationary:
    """Minimise by Newton from near a minimum, past the saddles that a model of several minima has.

    Raises:
        NotConverged: The bound was not reached.
    """

    def by_newton(at: Parameters) -> Stationary:
        return newton(objective, at, target=target, scale=scale, watch=watch)

    if objective.solver == "newton":
        return by_newton(start)
    return past_saddles(objective, start, by_newton, scale=scale, target=target, watch=watch)
