"""Retraining from nothing: what a deletion costs without unlearning, and the only thing an oracle can be checked by.

Two cold solvers compete: training as it is shipped (alternating sweeps, then Newton) and alternation alone. Of both the
objective is known at times on the clock, so that a method can be compared with the faster of the two *at the objective
gap the method itself leaves*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch

from alteraser.eraser import Forgetting, retrain
from alteraser.errors import NotConverged
from alteraser.model import Parameters, Progress, silent
from alteraser.solve import ROUNDING
from alteraser.train import CPU, alternate
from benchmarks.case import Case
from benchmarks.models import PARENT_DIGEST
from benchmarks.timing import Clock

PRACTICAL_SWEEPS = 16
"""Sweeps after which people stop; far from converged."""

MAX_SWEEPS = 1000


@dataclass(frozen=True, slots=True)
class Reached:
    """The objective at a time.

    Attributes:
        seconds: On the method's clock.
        objective: Over the kept interactions.
    """

    seconds: float
    objective: float


@dataclass(frozen=True, slots=True)
class ColdRetrain:
    """A model trained on the kept data from a random start, to the tolerance of training.

    Attributes:
        seed: Of the start.
        parameters: Where it ended.
        objective: There.
        seconds: All of it, from parent and deletions on.
        data_passes: Times the interactions were gone through, products with the Hessian included.
        curve: The objective on the way.
    """

    seed: int
    parameters: Parameters
    objective: float
    seconds: float
    data_passes: int
    curve: tuple[Reached, ...]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A cold retrain that did not reach the tolerance of training.

    Attributes:
        seed: Of the start.
        error: What the solver said.
    """

    seed: int
    error: NotConverged


def retrained(case: Case, seed: int) -> ColdRetrain | Unfinished:
    """Retrain to convergence from that seed."""
    curve: list[Reached] = []
    start = perf_counter()

    def watch(progress: Progress) -> None:
        if progress.objective is not None:
            curve.append(Reached(perf_counter() - start, progress.objective))

    try:
        done = retrain(
            case.parent,
            case.deletions,
            watermark=1,
            parent_digest=PARENT_DIGEST,
            seed=seed,
            tolerance=0.0,  # nothing is asked to be better than training is: this asks for just that
            watch=watch,
        )
    except NotConverged as failure:
        return Unfinished(seed, failure)
    seconds, report = perf_counter() - start, done.report
    parameters = done.snapshot.parameters
    return ColdRetrain(seed, parameters, report.objective, seconds, report.passes + report.inner, tuple(curve))


def swept(case: Case, seed: int, sweeps: int, clock: Clock) -> tuple[Forgetting, Parameters]:
    """Return the kept problem and a random start after that many alternating sweeps, on the clock."""
    with clock:
        forgetting = Forgetting.of(case.parent, case.deletions, CPU)
        generator = torch.Generator().manual_seed(seed)
        start = case.kind.initialise(forgetting.kept, case.parent.hyperparameters, generator)
        return forgetting, alternate(forgetting.objective, start, sweeps, silent)


def alternated(case: Case, seed: int, until_s: float) -> tuple[Reached, ...]:
    """Return the objective after every sweep of alternation alone, until that many seconds are on its clock.

    The objective is evaluated with the clock stopped: alternation does not need it.
    """
    clock = Clock()
    forgetting, at = swept(case, seed, 0, clock)
    curve: list[Reached] = []
    while clock.seconds < until_s and len(curve) < MAX_SWEEPS:
        with clock:
            at = alternate(forgetting.objective, at, 1, silent)
        curve.append(Reached(clock.seconds, case.value(at)))
    return tuple(curve)


def seconds_to(curve: Sequence[Reached], objective: float) -> float:
    """Return when a curve first is at or below an objective; infinite where it never is."""
    return next((reached.seconds for reached in curve if reached.objective <= objective), math.inf)


def best_cold_seconds(
    newton: Sequence[ColdRetrain], alternation: Sequence[Reached], oracle: float, gap: float
) -> float:
    """Return how long the faster cold solver takes to leave no larger an objective gap; infinite where none gets there.

    Args:
        newton: Retrains as shipped; of their times the median counts, one that never gets there as infinite.
        alternation: The curve of alternation alone.
        oracle: The oracle's objective.
        gap: The objective gap; below the rounding of a sum of this size all gaps are the same.
    """
    goal = oracle + max(gap, ROUNDING * abs(oracle))
    by_newton = median([seconds_to(each.curve, goal) for each in newton]) if newton else math.inf
    return min(by_newton, seconds_to(alternation, goal))
