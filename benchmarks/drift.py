"""How far a model that has forgotten many times, each time from its own last answer, is from one that never knew.

A point on the curve, after some deletions, all figures over the kept users and items:

- ``rmse``: root mean square of its scores minus the oracle's, the minimum that it leads to (`benchmarks.basin`);
  ``nothing_rmse``: the same of the model the stream began with.
- ``ri_last``: RI all of the last deletion alone, the model before it being 1: what the tolerance is about. What earlier
  deletions left counts against it.
- ``ri_stream``: RI all of all deletions so far, the model the stream began with being 1.
- ``objective_gap``: above the oracle's, a sum over interactions; ``gradient``: its norm over that of its L2 part, as in
  training; ``residual``: over what the last deletion left, as the service reports it.
- ``certified_rmse_ratio``, ``certified_ri_stream``: proven from the model and the kept data alone; None for a kind
  without a proof.
- ``jaccard@10``, ``nothing_jaccard@10``: lists of all kept users, of the model and of doing nothing, against the
  oracle's.
- ``width``, ``oracle_width``: columns of the users' embeddings, here and at the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alteraser.errors import NotConverged
from alteraser.kinds import kind as kind_of
from alteraser.report import Report
from alteraser.snapshot import Snapshot
from benchmarks.basin import Basin
from benchmarks.methods import ENOUGH
from benchmarks.models import carried_over
from benchmarks.trend import trend
from benchmarks.truth import alike, lists

Row = dict[str, Any]

TRENDS = ("rmse", "ri_last", "objective_gap", "gradient", "certified_rmse_ratio")
"""Figures of a point that must not grow along a stream."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One deletion of a stream, carried out.

    Attributes:
        number: Counted from 1.
        parent: The model before.
        child: The model after.
        report: How it went.
        seconds: Wall seconds, writing excluded.
    """

    number: int
    parent: Snapshot
    child: Snapshot
    report: Report
    seconds: float

    def record(self) -> Row:
        """Return what every deletion leaves in the evidence: no id, only sizes and costs."""
        report = self.report
        return {
            "deletion": self.number,
            "users": report.removed.users,
            "items": report.removed.items,
            "interactions": report.removed.interactions,
            "seconds": self.seconds,
            "algorithm": report.algorithm,
            "residual": report.residual,
            "outer": report.outer,
            "inner": report.inner,
        }


def point(original: Snapshot, step: Step) -> Row:
    """Return the point of the curve after a step; one whose oracle does not converge says so."""
    try:
        basin = Basin.of(step.child)
    except NotConverged as failure:
        return {"deletion": step.number, "failed": str(failure)}
    kind, data, at = kind_of(step.child.kind), step.child.interactions, step.child.parameters
    nothing, last = carried_over(original, data), carried_over(step.parent, data)
    _, gradient = basin.objective.value_and_gradient(at)
    oracle_lists = lists(kind, basin.oracle, data)
    return {
        "deletion": step.number,
        "kept_users": data.n_users,
        "kept_items": data.n_items,
        "kept_interactions": len(data),
        "rmse": basin.rmse(at),
        "nothing_rmse": basin.rmse(nothing),
        "ri_last": basin.influence(last, at),
        "ri_stream": basin.influence(nothing, at),
        "objective_gap": basin.gap(at),
        "gradient": gradient.norm() / basin.scale,
        "residual": step.report.residual,
        **_proven(step.child, basin.distance(nothing, at)),
        **alike(lists(kind, at, data), oracle_lists),
        **{f"nothing_{name}": value for name, value in alike(lists(kind, nothing, data), oracle_lists).items()},
        "width": at.users.shape[1],
        "oracle_width": basin.oracle.users.shape[1],
    }


def trends(points: list[Row], records: list[Row]) -> Row:
    """Return the trend of every figure that must not grow: of each point's, and of every deletion's residual."""
    known = [row for row in points if "failed" not in row]
    at = [row["deletion"] for row in known]
    found = {name: trend(at, [row[name] for row in known]) for name in TRENDS}
    found["residual"] = trend([row["deletion"] for row in records], [row["residual"] for row in records])
    return {name: None if each is None else each.as_dict() for name, each in found.items()}


def worst(points: list[Row]) -> float | None:
    """Return the largest RI all that a deletion of the curve has left: an excursion that came back is no trend."""
    return max((row["ri_last"] for row in points if "failed" not in row), default=None)


def verdict(found: Row, worst_influence: float | None) -> str:
    """Say in a sentence what the trends and the worst point amount to."""
    known = {name: each for name, each in found.items() if each is not None}
    growing = [f"{name} (x {each['factor']:.3g})" for name, each in known.items() if each["grows"]]
    if growing:
        said = f"DRIFT: over the stream these grow, with 95 % confidence: {', '.join(growing)}"
    elif "rmse" not in known:
        said = "too few points to tell a trend"
    else:
        most = known["rmse"]["factor_high"]
        said = (
            f"no drift trend: no 95 % interval of a slope lies above zero; the score error grows at most x {most:.3g}"
        )
    if worst_influence is not None and worst_influence > ENOUGH:
        said += f"; EXCURSION: a deletion left RI {worst_influence:.2g}, more than {ENOUGH:g}"
    return said


def _proven(model: Snapshot, moved: float) -> Row:
    proof = kind_of(model.kind).certify(model.parameters, model.interactions, model.hyperparameters)
    return {
        "certified_rmse_ratio": None if proof is None else proof.rmse_ratio,
        "certified_ri_stream": None if proof is None else proof.bound_on_influence(moved),
    }
