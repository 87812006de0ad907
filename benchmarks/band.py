"""Whether an unlearned model can be told from retrained ones: the band that retraining seeds span, and who lies in it.

    python -m benchmarks.band --data ml-100k/cure4rec --forget users=9 --seeds 5 --json band.json

A retrain from another random start is as good a retrain. What differs between retrains says nothing of the deletion,
so an unlearned model has to lie among them and not to equal one of them; and doing nothing has to lie outside, or
the statistic says nothing of forgetting. Each statistic of `STATISTICS` is taken of every retrain: least and largest
are the band. For overlaps of lists every model is compared with the retrains other than itself, and only the lower end
counts: nothing can be too much like a retrain.

Where a kind has one minimum the retrains coincide and the band is a point: then only ``unlearned, exact``, solved as
far as training is, can be expected on it, and ``unlearned``, at the tolerance of the service, near it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from torch import Tensor

from alteraser.deletions import Deletions
from alteraser.eraser import TOLERANCE, retrain, unlearn
from alteraser.evaluate import accuracy
from alteraser.interactions import Interactions
from alteraser.kinds import kind as kind_of
from alteraser.snapshot import Snapshot
from benchmarks.basin import Basin
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.forgotten import FORMS, UnknownForgetting, forgotten, in_the_open
from benchmarks.inputs import described
from benchmarks.membership import area_under_curve
from benchmarks.methods import EXACT
from benchmarks.models import PARENT_DIGEST, carried_over
from benchmarks.score_distance import score_distance
from benchmarks.truth import K, alike, lists
from benchmarks.unlearning import live_model

Row = dict[str, Any]

NEVER_MET_PER_PAIR = 20
"""Pairs that never were interactions, drawn for each forgotten one of the same user."""

RETRAINED = "retrained, seed "

ROUNDING = 1e-6
"""Retrains are solved to a tolerance, so that a band that is a point has this width all the same: as a share of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A model that claims never to have seen what was deleted.

    Attributes:
        model: Over the kept interactions.
        parent: The live model, with what was deleted.
        deletions: What was deleted.
        test: What the kept users should be recommended.
        seed: Of the draws a statistic makes.
    """

    model: Snapshot
    parent: Snapshot
    deletions: Deletions
    test: Interactions
    seed: int

    def scores(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores (B, n_items) of user rows."""
        return kind_of(self.model.kind).scores(self.model.parameters, rows)


Statistic = Callable[[Candidate], float | None]


def recall(candidate: Candidate) -> float:
    """Recall@10 on the kept users' test items."""
    return accuracy(candidate.scores, candidate.model.interactions, candidate.test, [K])[K].recall


def ndcg(candidate: Candidate) -> float:
    """NDCG@10 on the kept users' test items."""
    return accuracy(candidate.scores, candidate.model.interactions, candidate.test, [K])[K].ndcg


def forgotten_above_never_met(candidate: Candidate) -> float | None:
    """How often a forgotten pair scores above one that never was, of the same user; None where no such user is left.

    The simplest of membership inferences, one threshold for all and no shadow models; attacks that are worth the name
    are those of `benchmarks.attack`.
    """
    data, model = candidate.parent.interactions, candidate.model.interactions
    draw, members, others = np.random.default_rng(candidate.seed), [], []
    for user, item in zip(*data.pairs_of(candidate.deletions), strict=True):
        row, column = model.users.row(data.users.ids[user]), model.items.row(data.items.ids[item])
        if row is None or column is None:
            continue
        met = {model.items.row(data.items.ids[each]) for each in data.by_user.row(user)}
        never = np.setdiff1d(np.arange(model.n_items), [each for each in met if each is not None])
        scores = candidate.scores(np.array([row]))[0]
        members.append(scores[column])
        others.append(draw.choice(scores[never], min(NEVER_MET_PER_PAIR, len(never)), replace=False))
    return area_under_curve(np.array(members), np.concatenate(others)) if members else None


STATISTICS: dict[str, Statistic] = {
    f"recall@{K}": recall,
    f"ndcg@{K}": ndcg,
    "forgotten_auc": forgotten_above_never_met,
}
"""By name; an attack adds its own."""


def banded(
    parent: Snapshot,
    test: Interactions,
    deletions: Deletions,
    seeds: Sequence[int],
    tolerance: float,
    statistics: Mapping[str, Statistic] = STATISTICS,
    draw: int = 0,
) -> Row:
    """Return the statistics of every model, and for each statistic its band and who lies in it.

    Args:
        parent: The live model.
        test: What its users should be recommended; over its vocabularies.
        deletions: What is forgotten.
        seeds: Of the retrains; at least two.
        tolerance: Of the unlearning.
        statistics: By name.
        draw: Seed of what a statistic draws.

    Raises:
        NotConverged: A model did not reach its tolerance.
    """
    child, exact = (_unlearned(parent, deletions, each) for each in (tolerance, EXACT))
    nothing = replace(child, parameters=carried_over(parent, child.interactions))
    retrains = {f"{RETRAINED}{seed}": _retrained(parent, deletions, seed) for seed in seeds}
    models = {"do nothing": nothing, "unlearned": child, "unlearned, exact": exact, **retrains}
    kept_test = test.over(child.interactions.users, child.interactions.items)
    own_lists = {name: lists(kind_of(child.kind), each.parameters, each.interactions) for name, each in models.items()}
    rows = []
    for name, model in models.items():
        candidate = Candidate(model, parent, deletions, kept_test, draw)
        found = {each: statistic(candidate) for each, statistic in statistics.items()}
        overlap = _overlap(own_lists[name], [own_lists[each] for each in retrains if each != name])
        rows.append({"model": name, **found, **overlap})
    bands = {name: _band(rows, name, lower_only=False) for name in statistics}
    bands |= {name: _band(rows, name, lower_only=True) for name in overlap}
    return {"rows": rows, "bands": bands, "apart": _apart(nothing, child, list(retrains.values()))}


def main(
    data: Annotated[Path, typer.Option(help="Folder with a training and a test part.")],
    forget: Annotated[str, typer.Option(help=f"What is forgotten: {FORMS}.")],
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    seeds: Annotated[int, typer.Option(min=2, help="Retrains: their seeds are 1, 2, ...")] = 5,
    draw: Annotated[int, typer.Option(min=0, help="Seed of the draw of what is forgotten.")] = 0,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Of the unlearning.")] = TOLERANCE,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the evidence.")] = None,
) -> None:
    """Retrain several times and see who lies in the band."""
    pin_threads()
    split, parent = live_model(data, model, set_)
    if split.test is None:
        raise typer.BadParameter("has no test part beside its training part", param_hint="--data")
    try:
        deletions = forgotten(forget, split.train, draw)
    except UnknownForgetting as error:
        raise typer.BadParameter(str(error), param_hint="--forget") from None
    found = banded(parent, split.test, deletions, range(1, seeds + 1), tolerance, draw=draw)
    evidence: Row = {
        "benchmark": "band",
        **provenance(),
        "dataset": described(data, split),
        "model": model,
        "hyperparameters": dict(parent.hyperparameters),
        "forget": in_the_open(forget),
        "draw": draw,
        "tolerance": tolerance,
        **found,
    }
    show(evidence)
    write_json(json, evidence)


def show(evidence: Row) -> None:
    """Print the models and the bands."""
    title = f"{evidence['model']} on {evidence['dataset']['name']}, forgetting {evidence['forget']}"
    print_table(title, evidence["rows"])
    print_table("bands", [{"statistic": name, **band} for name, band in evidence["bands"].items()])
    print(evidence["apart"])


def _unlearned(parent: Snapshot, deletions: Deletions, tolerance: float) -> Snapshot:
    return unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance).snapshot


def _retrained(parent: Snapshot, deletions: Deletions, seed: int) -> Snapshot:
    return retrain(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, seed=seed, tolerance=0.0).snapshot


def _overlap(own: Tensor, others: Sequence[Tensor]) -> Row:
    """The mean overlap with the others' lists."""
    found = [alike(own, other) for other in others]
    return {name: mean(each[name] for each in found) for name in found[0]}


def _band(rows: Sequence[Row], name: str, *, lower_only: bool) -> Row:
    """Least and largest of the retrains, and whether the other models lie between; None where one has no value."""
    values = {row["model"]: row[name] for row in rows}
    retrains = [value for model, value in values.items() if model.startswith(RETRAINED)]
    known = None not in values.values()
    low, high = (min(retrains), max(retrains)) if known else (None, None)

    def inside(value: float) -> bool | None:
        if low is None or high is None:
            return None
        slack = ROUNDING * abs(high)
        return low - slack <= value and (lower_only or value <= high + slack)

    others = {model: value for model, value in values.items() if not model.startswith(RETRAINED)}
    judged = {f"{model} inside": inside(value) for model, value in others.items()}
    return {"low": low, "high": high, **others, **judged}


def _apart(nothing: Snapshot, child: Snapshot, retrains: Sequence[Snapshot]) -> Row:
    """How far models are apart in their scores, root mean square over the kept pairs."""
    kind, data = kind_of(child.kind), child.interactions
    cells = float(np.sqrt(data.n_users * data.n_items))

    def rmse(one: Snapshot, other: Snapshot) -> float:
        return score_distance(kind, one.parameters, other.parameters) / cells

    among = [rmse(one, other) for place, one in enumerate(retrains) for other in retrains[:place]]
    basin = Basin.of(child)
    return {
        "retrains_rmse_least": min(among),
        "retrains_rmse_most": max(among),
        "unlearned_rmse_to_nearest_retrain": min(rmse(child, each) for each in retrains),
        "nothing_rmse_to_nearest_retrain": min(rmse(nothing, each) for each in retrains),
        "ri_all_in_own_basin": basin.influence(nothing.parameters, child.parameters),
    }


if __name__ == "__main__":
    typer.run(main)
