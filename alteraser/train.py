"""Training to stationarity: alternating sweeps while they are quick, then Newton while they are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from alteraser.errors import NotConverged
from alteraser.interactions import Interactions
from alteraser.kinds import kind as kind_of
from alteraser.minimise import Minimiser, minimise, refine
from alteraser.model import Hyperparameters, Objective, Parameters, Progress, Watch, silent
from alteraser.report import Report, report_on
from alteraser.solve import Stationary
from alteraser.stopwatch import Stopwatch

SWEEPS = 12
"""Alternating sweeps before Newton: on ML-1M 5, 12 and 30 of them lead to the tolerance in 38, 31 and 45 s."""

TOLERANCE = 1e-9
"""Relative to the L2 part of the gradient. Far below what one deletion leaves behind (about 1e-3 for one of 6,040
users), so that unlearning starts from a minimum and not from a training that was never finished."""

COARSE = 1e-3
"""Relative gradient at which it is settled how many latent dimensions are needed, before the solution is refined."""

MAX_FITS = 12
"""Times the width is fitted. A dimension on the verge of use can come and go; what it holds is within the tolerance."""

RETRIES, SWEEPS_AFTER_FAILURE = 2, 50
"""Sweeps are slow but never stuck: where Newton does not converge, they bring it nearer."""

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Trained:
    """A model trained to stationarity.

    Attributes:
        parameters: Float64, on the CPU.
        hyperparameters: Complete, as they go into the manifest.
        report: How it went.
    """

    parameters: Parameters
    hyperparameters: Hyperparameters
    report: Report


def train(
    kind: str,
    given: Mapping[str, object],
    data: Interactions,
    *,
    seed: int,
    tolerance: float = TOLERANCE,
    sweeps: int = SWEEPS,
    device: torch.device = CPU,
    watch: Watch = silent,
) -> Trained:
    """Train a model of that kind from random parameters to a stationary point of its objective.

    Args:
        kind: Name of the model kind.
        given: Hyper-parameters that differ from the kind's defaults.
        data: What to train on.
        seed: Of the random start.
        tolerance: Bound on the gradient's norm, relative to the norm of its L2 part.
        sweeps: Alternating sweeps before Newton.
        device: Where to compute.
        watch: Told of every step.

    Raises:
        NotConverged: The tolerance was not reached.
        UnknownKind, UnknownHyperparameter, InvalidHyperparameter: As their names say.
    """
    clock = Stopwatch()
    model_kind = kind_of(kind)
    hyperparameters = model_kind.hyperparameters(given, data)
    generator = torch.Generator().manual_seed(seed)
    start = model_kind.initialise(data, hyperparameters, generator).to(device)
    objective = model_kind.objective(data, hyperparameters, device)
    clock.end("index")
    swept = alternate(objective, start, sweeps, watch)
    clock.end("sweeps")
    scale = objective.gradient_scale(swept)
    _, gradient = objective.value_and_gradient(swept)
    found = solve(objective, swept, target=tolerance * scale, scale=scale, coarse=scale, watch=watch)
    clock.end("newton")
    report = report_on(
        found,
        objective,
        scale=scale,
        residual_before=gradient.norm() / scale,
        worst_block_before=gradient.worst_block(),
        algorithm="train",
        tolerance=tolerance,
        seconds=clock.seconds,
    )
    return Trained(found.parameters.to(CPU), hyperparameters, report)


def solve(
    objective: Objective,
    start: Parameters,
    *,
    target: float,
    scale: float,
    coarse: float,
    watch: Watch,
    solver: Minimiser = minimise,
) -> Stationary:
    """Minimise with as many latent dimensions as the objective has a use for, past its saddles.

    Args:
        objective: What is minimised.
        start: Where from.
        target: Absolute bound on the gradient's norm.
        scale: What the residuals told to ``watch`` are relative to.
        coarse: What `COARSE` is relative to.
        watch: Told of every step.
        solver: What goes down; from near a minimum that is `newton`.

    Raises:
        NotConverged: The bound was not reached.
    """
    at, tolerance, outer, inner = start, max(COARSE * coarse, target), 0, 0
    for fits_left in reversed(range(MAX_FITS)):
        tolerance = tolerance if fits_left else target
        found = _solved_or_swept(objective, at, solver, target=tolerance, scale=scale, watch=watch)
        outer, inner = outer + found.outer, inner + found.inner
        at = objective.fit_width(found.parameters)
        if at is found.parameters:
            if tolerance <= target or objective.solver != "newton":
                break
            tolerance = target
    if objective.solver != "newton":
        found = refine(objective, at, target=target, scale=scale, watch=watch)
        outer, inner = outer + found.outer, inner + found.inner
    return replace(found, outer=outer, inner=inner)


def _solved_or_swept(
    objective: Objective, start: Parameters, solver: Minimiser, *, target: float, scale: float, watch: Watch
) -> Stationary:
    """Return what the solver finds, after more sweeps where it starts too far away."""
    at = start
    for _ in range(RETRIES):
        try:
            return solver(objective, at, target=target, scale=scale, watch=watch)
        except NotConverged:
            at = alternate(objective, at, SWEEPS_AFTER_FAILURE, watch)
    return solver(objective, at, target=target, scale=scale, watch=watch)


def alternate(objective: Objective, start: Parameters, sweeps: int, watch: Watch) -> Parameters:
    """Return ``start`` after that many alternating sweeps: each side solved given the others, one after the other."""
    at = start
    for sweep in range(1, sweeps + 1):
        for side in objective.sides:
            at = objective.solve_blocks(at, side)
        watch(Progress("sweep", sweep, of=sweeps))
    return at
