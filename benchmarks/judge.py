"""The row of figures by which a method is judged; every metric of the unlearning benchmark is defined here.

- ``seconds``: median wall seconds from (parent snapshot, deletions) to the new parameters; see `benchmarks.methods`.
- ``ri_all``, ``ri_affected``: residual influence over every kept and every affected pair; see `benchmarks.truth`.
- ``relative_gradient``: gradient norm over that at the warm start, whole retained objective, float64.
- ``objective_gap``: objective minus the oracle's, float64, a sum over interactions; rounding may make it negative.
- ``certified_*``: proven from this method's parameters and the kept data alone, without the oracle.
- ``jaccard@10_retrained``, ``rbo@10_retrained``: top-10 lists of all kept users against the first cold retrain's.
- ``recall@k``, ``ndcg@k``: on the test part, users and items that are kept.
- ``speedup_converged``: seconds of the faster cold solver to leave no larger an objective gap, over these seconds.
- ``speedup_practical``: seconds of a retrain of 16 sweeps over these seconds.
- ``seconds_to_enough``: least seconds at which the method, its curve included, is known to leave RI all <= 1e-2. Which
  tolerance does that only the oracle can tell, so it is a limit and no promise.

What a method cannot have (another objective, no proof, no test part, no such retrain) is None; so is the speed-up of
one that never looked at the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alteraser.errors import NotConverged
from alteraser.evaluate import accuracy
from benchmarks.cold import best_cold_seconds
from benchmarks.methods import ENOUGH, METHODS, Outcome, Trial
from benchmarks.score_distance import score_distance
from benchmarks.timing import timed
from benchmarks.truth import K, alike, lists

Row = dict[str, Any]

KS = (10, 20)
PRACTICAL = "retrain-practical"
REFERENCE = "retrain-converged"


@dataclass(frozen=True, slots=True)
class Comparable:
    """What only a method with the live model's own objective has, see the module; all None for the others."""

    ri_affected: float | None = None
    ri_all: float | None = None
    relative_gradient: float | None = None
    objective_gap: float | None = None
    certified_rmse_ratio: float | None = None
    certified_ri_all: float | None = None
    certificate_seconds: float | None = None
    certificate: dict[str, Any] | None = None


def rows_of(trial: Trial, methods: Iterable[str]) -> list[Row]:
    """Run the methods one after the other and return a row each; one that does not converge has a row that says so."""
    rows = [_row_of(trial, method) for method in methods]
    practical = next((row["seconds"] for row in rows if row["method"] == PRACTICAL), None)
    return [{**row, "speedup_practical": _speedup(practical, row["seconds"], row["data_passes"])} for row in rows]


def _row_of(trial: Trial, method: str) -> Row:
    try:
        outcome = METHODS[method](trial)
    except NotConverged as failure:
        return {**dict.fromkeys(COLUMNS), "method": method, "failed": str(failure)}
    return _judged(trial, method, outcome)


def _judged(trial: Trial, method: str, outcome: Outcome) -> Row:
    found = _comparable(trial, outcome)
    overlap = _overlap(trial, method, outcome)
    seconds = outcome.seconds.median
    own = [] if found.ri_all is None else [(seconds, found.ri_all)]
    return {
        "method": method,
        "seconds": seconds,
        "data_passes": outcome.data_passes,
        "ri_affected": found.ri_affected,
        "ri_all": found.ri_all,
        "relative_gradient": found.relative_gradient,
        "objective_gap": found.objective_gap,
        "certified_rmse_ratio": found.certified_rmse_ratio,
        "certified_ri_all": found.certified_ri_all,
        f"jaccard@{K}_retrained": overlap.get(f"jaccard@{K}"),
        f"rbo@{K}_retrained": overlap.get(f"rbo@{K}"),
        **_accuracy(trial, outcome),
        "speedup_converged": _speedup(_cold_seconds(trial, found.objective_gap), seconds, outcome.data_passes),
        "speedup_practical": None,
        "seconds_min": min(outcome.seconds),
        "seconds_max": max(outcome.seconds),
        "seconds_to_enough": _seconds_to_enough([*outcome.curve, *own]),
        "certificate_seconds": found.certificate_seconds,
        "certificate": found.certificate,
        "curve": [{"seconds": at, "ri_all": left} for at, left in outcome.curve],
        **outcome.notes,
    }


COLUMNS = (
    "method",
    "seconds",
    "data_passes",
    "ri_affected",
    "ri_all",
    "relative_gradient",
    "objective_gap",
    "certified_rmse_ratio",
    "certified_ri_all",
    f"jaccard@{K}_retrained",
    f"rbo@{K}_retrained",
    *(f"{name}@{k}" for k in KS for name in ("recall", "ndcg")),
    "speedup_converged",
    "speedup_practical",
)
"""What every row has."""


def _comparable(trial: Trial, outcome: Outcome) -> Comparable:
    if not outcome.comparable:
        return Comparable()
    case, truth, after = trial.case, trial.truth, outcome.parameters
    value, gradient = case.objective.value_and_gradient(after)
    found = Comparable(
        ri_affected=truth.influence_on_affected(case, after),
        ri_all=truth.influence(case, after),
        relative_gradient=gradient.norm() / case.left_behind,
        objective_gap=value - truth.objective,
    )
    certificate, seconds = timed(lambda: case.kind.certify(after, case.kept, case.parent.hyperparameters))
    if certificate is None:
        return found
    moved = score_distance(case.kind, case.before, after)
    return replace(
        found,
        certified_rmse_ratio=certificate.rmse_ratio,
        certified_ri_all=certificate.bound_on_influence(moved),
        certificate_seconds=seconds.median,
        certificate=certificate.as_dict(),
    )


def _overlap(trial: Trial, method: str, outcome: Outcome) -> dict[str, float]:
    """How alike the lists are to those of the first cold retrain; nothing where that is the very same model."""
    retrains = trial.truth.retrains
    if not retrains or (method == REFERENCE and len(retrains) == 1):
        return {}
    return alike(lists(outcome.kind, outcome.parameters, trial.case.kept), trial.truth.reference)


def _accuracy(trial: Trial, outcome: Outcome) -> dict[str, float | None]:
    names = [(f"{name}@{k}", name, k) for k in KS for name in ("recall", "ndcg")]
    if trial.case.test is None:
        return {key: None for key, _, _ in names}
    found = accuracy(lambda rows: outcome.kind.scores(outcome.parameters, rows), trial.case.kept, trial.case.test, KS)
    return {key: getattr(found[k], name) for key, name, k in names}


def _cold_seconds(trial: Trial, gap: float | None) -> float | None:
    if gap is None:
        return None
    seconds = best_cold_seconds(trial.truth.retrains, trial.truth.alternation, trial.truth.objective, gap)
    return seconds if math.isfinite(seconds) else None


def _speedup(seconds: float | None, own: float | None, data_passes: float | None) -> float | None:
    return seconds / own if seconds is not None and own and data_passes else None


def _seconds_to_enough(curve: Sequence[tuple[float, float]]) -> float | None:
    return min((seconds for seconds, left in curve if left <= ENOUGH), default=None)
