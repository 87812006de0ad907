"""Every way to forget that is measured, from the live model and the deletions to new parameters.

A method's seconds begin with the parent snapshot and the deletions and end with the new parameters: index rebuild,
set-up of the objective, factors, solver, and the check of the final residual where the method claims one. Judging it is
never in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import torch

from alteraser.eraser import Forgetting, local_step, unlearn
from alteraser.errors import NotConverged
from alteraser.kinds import kind as kind_of
from alteraser.model import ModelKind, Parameters, silent
from alteraser.train import CPU, alternate
from alteraser.wmf import Wmf
from benchmarks import adamw, implicit_als
from benchmarks.case import Case
from benchmarks.cold import PRACTICAL_SWEEPS, swept
from benchmarks.models import PARENT_DIGEST, carried_over
from benchmarks.timing import Clock, Timings, timed
from benchmarks.truth import Truth

EXACT = 1e-7
"""Tolerance of ``alteraser-exact``; the solver asks for no less than training's own."""

LADDER = (0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4, 1e-5, 1e-6)
"""Tolerances of ``alteraser``'s curve."""

ENOUGH = 1e-2
"""The RI all that a deletion is to leave at most: plain alternation stops there, or at one of the caps."""

MAX_SWEEPS = 300

MAX_ALTERNATION_S = 120.0


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What a method is given.

    Attributes:
        case: The deletion.
        truth: For methods whose controls need it: alternation stops by it, AdamW is tuned by it.
        tolerance: Of ``alteraser``.
        seed: Of random starts.
    """

    case: Case
    truth: Truth
    tolerance: float
    seed: int

    def influence(self, after: Parameters) -> float:
        """Return RI all."""
        return self.truth.influence(self.case, after)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What a method arrived at.

    Attributes:
        parameters: Over the kept rows.
        seconds: Of every time it was done.
        data_passes: Times the interactions were gone through; a part where only some were.
        kind: What scores with the parameters.
        comparable: Whether it minimises the live model's own objective.
        notes: More about it, for the JSON.
        curve: (seconds, RI all) on the way.
    """

    parameters: Parameters
    seconds: Timings
    data_passes: float
    kind: ModelKind
    comparable: bool = True
    notes: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[tuple[float, float], ...] = ()


Method = Callable[[Trial], Outcome]


def do_nothing(trial: Trial) -> Outcome:
    """Serve the live model."""
    return Outcome(trial.case.before, Timings([0.0]), 0, trial.case.kind)


def drop_row(trial: Trial) -> Outcome:
    """Drop the rows that have nothing left; everything else stays as it is."""
    parent, deletions = trial.case.parent, trial.case.deletions
    parameters, seconds = timed(lambda: carried_over(parent, parent.interactions.without(deletions)))
    return Outcome(parameters, seconds, 0, trial.case.kind)


def local(trial: Trial) -> Outcome:
    """Solve every row that lost an interaction once."""
    case = trial.case
    steps: list[float] = []

    def work() -> Forgetting:
        forgetting = Forgetting.of(case.parent, case.deletions, CPU)
        with Clock() as clock:
            local_step(forgetting)
        steps.append(clock.seconds)
        return forgetting

    forgetting, seconds = timed(work)
    kept = forgetting.kept
    solved = kept.by_user.counts[forgetting.changed_users].sum() + kept.by_item.counts[forgetting.changed_items].sum()
    notes = {"step_seconds": Timings(steps).median}
    return Outcome(forgetting.warm, seconds, float(solved) / max(len(kept), 1), case.kind, notes=notes)


def alternation(trial: Trial) -> Outcome:
    """Local step, then plain alternating sweeps until `ENOUGH`; the control for Newton."""
    case, clock = trial.case, Clock()
    with clock:
        forgetting = Forgetting.of(case.parent, case.deletions, CPU)
        local_step(forgetting)
        at = forgetting.warm
    curve = [(clock.seconds, trial.influence(at))]
    while curve[-1][1] > ENOUGH and len(curve) <= MAX_SWEEPS and clock.seconds < MAX_ALTERNATION_S:
        with clock:
            at = alternate(forgetting.objective, at, 1, silent)
        curve.append((clock.seconds, trial.influence(at)))
    with clock:
        forgetting.objective.value_and_gradient(at)  # the check of the final residual
    notes = {"sweeps": len(curve) - 1, "reached": curve[-1][1] <= ENOUGH}
    return Outcome(
        at, Timings([clock.seconds]), forgetting.objective.passes, case.kind, notes=notes, curve=tuple(curve)
    )


def adamw_warm(trial: Trial) -> Outcome:
    """AdamW from the warm start with the best learning rate; see `benchmarks.adamw`."""
    runs = [adamw.descent(trial.case, rate, trial.influence) for rate in adamw.LEARNING_RATES]
    best = min(runs, key=lambda run: run.left)
    tried = [{"learning_rate": run.learning_rate, "ri_all": run.left} for run in runs]
    notes = {"learning_rate": best.learning_rate, "tried": tried}
    return Outcome(best.parameters, Timings([best.seconds]), best.steps, trial.case.kind, notes=notes, curve=best.curve)


def alteraser(trial: Trial) -> Outcome:
    """Unlearn with the product's solver; the curve is of other tolerances."""
    return replace(_unlearned(trial.case, trial.tolerance), curve=tuple(_ladder(trial)))


def alteraser_perturbed(trial: Trial) -> Outcome:
    """Unlearn as `alteraser` does, with the random step that the service takes last; see `alteraser.perturbation`."""
    return _unlearned(trial.case, trial.tolerance, torch.Generator().manual_seed(trial.seed))


def alteraser_exact(trial: Trial) -> Outcome:
    """Unlearn to `EXACT`."""
    return _unlearned(trial.case, EXACT)


def retrain_converged(trial: Trial) -> Outcome:
    """Retrain from nothing to the tolerance of training; of two seeds the one the lists are not compared with.

    Its seconds are those of all seeds.

    Raises:
        NotConverged: No seed got there.
    """
    if not trial.truth.retrains:
        raise trial.truth.unfinished[0].error
    cold = trial.truth.retrains[-1]
    seconds = Timings(each.seconds for each in trial.truth.retrains)
    return Outcome(cold.parameters, seconds, cold.data_passes, trial.case.kind, notes={"seed": cold.seed})


def retrain_practical(trial: Trial) -> Outcome:
    """Retrain from nothing with as many sweeps as is customary."""
    clock = Clock()
    forgetting, at = swept(trial.case, trial.seed, PRACTICAL_SWEEPS, clock)
    with clock:
        forgetting.objective.value_and_gradient(at)  # the check of the final residual
    notes = {"sweeps": PRACTICAL_SWEEPS}
    return Outcome(at, Timings([clock.seconds]), forgetting.objective.passes, trial.case.kind, notes=notes)


def retrain_implicit(trial: Trial) -> Outcome:
    """Retrain from nothing with the ``implicit`` library; see `benchmarks.implicit_als`."""
    case = trial.case
    d = case.before.users.shape[1]
    with Clock() as clock:
        parameters = implicit_als.fit(case.parent.interactions.without(case.deletions), d, trial.seed)
    passes = 2 * implicit_als.ITERATIONS
    return Outcome(parameters, Timings([clock.seconds]), passes, kind_of(Wmf.name), comparable=False)


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "do-nothing": do_nothing,
        "drop-row": drop_row,
        "local": local,
        "alternation": alternation,
        "adamw": adamw_warm,
        "alteraser": alteraser,
        "alteraser-perturbed": alteraser_perturbed,
        "alteraser-exact": alteraser_exact,
        "retrain-converged": retrain_converged,
        "retrain-practical": retrain_practical,
        "retrain-implicit": retrain_implicit,
    }
)


def _ladder(trial: Trial) -> Iterator[tuple[float, float]]:
    """Yield (seconds, RI all) at each tolerance of `LADDER`, down to the last that is reached."""
    for tolerance in LADDER:
        try:
            found = _unlearned(trial.case, tolerance)
        except NotConverged:
            return
        yield found.seconds.median, trial.influence(found.parameters)


def _unlearned(case: Case, tolerance: float, noise: torch.Generator | None = None) -> Outcome:
    given: dict[str, Any] = {"watermark": 1, "parent_digest": PARENT_DIGEST, "tolerance": tolerance, "noise": noise}

    def work() -> tuple[Parameters, dict[str, Any]]:
        done = unlearn(case.parent, case.deletions, **given)
        return done.snapshot.parameters, done.report.as_dict()

    (parameters, report), seconds = timed(work)
    return Outcome(parameters, seconds, report["passes"] + report["inner"], case.kind, notes={"report": report})
