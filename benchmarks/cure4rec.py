"""CURE4Rec's four axes on its core and edge deletion sets: complete, useful, efficient, fair.

    python -m benchmarks.cure4rec --data ml-100k/cure4rec --json cure4rec.json

Whole users are forgotten, the most active 5 to 20 % (core) or the least (edge), as published where the data folder has
the published files and by definition elsewhere; see `benchmarks.activity`. Per set and method:

- *completeness*: ``ri_all`` against the minimum the unlearned model leads to (`benchmarks.basin`), ``certified_ri_all``
  proven without it, lists against the first cold retrain's, and ``still_served``, the forgotten users that have a row.
  The paper's own measure, a membership oracle, is not computed here: `benchmarks.attack` attacks harder.
- *utility*: Recall@20 (the paper's HR@20) and NDCG@20 (the ideal list is cut at 20 here, not in the paper) on the kept
  users' test items.
- *efficiency*: seconds, and those of the fastest cold retrain that converged over them.
- *fairness*: NDCG@20 of the most active 5 % of the kept users and of the rest, and how far the two are apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from alteraser.deletions import Deletions
from alteraser.eraser import TOLERANCE, retrain, unlearn
from alteraser.errors import NotConverged
from alteraser.evaluate import Accuracy, accuracy
from alteraser.interactions import Interactions
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot
from benchmarks.activity import Edge, by_activity, extreme_users, is_extreme, of_users, published_users
from benchmarks.basin import Basin
from benchmarks.case import Case
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.inputs import described
from benchmarks.methods import EXACT
from benchmarks.models import PARENT_DIGEST, carried_over
from benchmarks.timing import Timings, timed
from benchmarks.truth import alike, lists
from benchmarks.unlearning import live_model

Row = dict[str, Any]

K = 20
REFERENCE = "retrain-converged"
SETS: tuple[Edge, ...] = ("core", "edge")
PERCENTAGES = "5,10,15,20"
RETRAIN_SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A model after a deletion.

    Attributes:
        parameters: Over the kept rows.
        seconds: Of every time it was made.
        still_served: Forgotten users that have a row all the same.
        algorithm: What made it; `unlearn` itself may choose to retrain.
    """

    parameters: Parameters
    seconds: Timings
    still_served: int
    algorithm: str


def do_nothing(parent: Snapshot, deletions: Deletions) -> Answer:
    """Serve the live model."""
    kept = parent.interactions.without(deletions)
    return Answer(carried_over(parent, kept), Timings([0.0]), len(deletions.subjects), "nothing")


def unlearned(parent: Snapshot, deletions: Deletions, tolerance: float) -> Answer:
    """Unlearn from the live model, or by what `unlearn` chooses instead."""
    done, seconds = timed(
        lambda: unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance)
    )
    return Answer(done.snapshot.parameters, seconds, _served(done.snapshot, deletions), done.report.algorithm)


def retrained(parent: Snapshot, deletions: Deletions) -> Answer:
    """Train anew, to the tolerance of training."""
    done, seconds = timed(
        lambda: retrain(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, seed=RETRAIN_SEED, tolerance=0.0)
    )
    return Answer(done.snapshot.parameters, seconds, _served(done.snapshot, deletions), "retrain")


def measured(
    parent: Snapshot, test: Interactions, folder: Path, percentages: list[int], tolerance: float
) -> Iterator[Row]:
    """Yield what was found for each set: its size, where it is from, and a row per method.

    Args:
        parent: The live model.
        test: What its users should be recommended.
        folder: Of the data; the published sets are looked for in it.
        percentages: Of the users.
        tolerance: Of the method ``alteraser``.
    """
    train = parent.interactions
    for which in SETS:
        for percentage in percentages:
            published = published_users(folder, which, percentage)
            users = extreme_users(train, which, percentage) if published is None else published
            yield {
                "set": which,
                "percentage": percentage,
                "published": published is not None,
                "as_defined": is_extreme(train, users, which),
                **set_of(parent, test, Deletions(subjects=users), tolerance),
            }


def set_of(parent: Snapshot, test: Interactions, deletions: Deletions, tolerance: float) -> Row:
    """Forget one set with every method; one that does not converge has a row that says so.

    Raises:
        NotConverged: The solution that all are compared with did not reach the tolerance of training.
    """
    case = Case.of(parent, deletions, None)
    methods: dict[str, Callable[[], Answer]] = {
        "do-nothing": lambda: do_nothing(parent, deletions),
        "alteraser": lambda: unlearned(parent, deletions, tolerance),
        "alteraser-exact": lambda: unlearned(parent, deletions, EXACT),
        REFERENCE: lambda: retrained(parent, deletions),
    }
    answers = {name: _tried(method) for name, method in methods.items()}
    return {**case.removed(), "rows": _rows(case, test.over(case.kept.users, case.kept.items), answers)}


def _tried(method: Callable[[], Answer]) -> Answer | NotConverged:
    try:
        return method()
    except NotConverged as failure:
        return failure


def _rows(case: Case, test: Interactions, answers: Mapping[str, Answer | NotConverged]) -> list[Row]:
    basin, reference = _basin(case, answers), answers[REFERENCE]
    retrain = None if isinstance(reference, NotConverged) else reference
    return [
        {"method": name, "failed": str(answer)}
        if isinstance(answer, NotConverged)
        else {"method": name, **_row(case, test, basin, answer, retrain)}
        for name, answer in answers.items()
    ]


def _row(case: Case, test: Interactions, basin: Basin, answer: Answer, retrain: Answer | None) -> Row:
    return {
        "algorithm": answer.algorithm,
        **_completeness(case, basin, answer),
        **_overlap(case, answer, retrain),
        **_utility_and_fairness(case, test, answer),
        "seconds": answer.seconds.median,
        "speedup": retrain.seconds.median / answer.seconds.median if retrain and answer.seconds.median else None,
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder with a training and a test part, and perhaps published sets.")],
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    percentages: Annotated[str, typer.Option(help="Of the users, separated by commas.")] = PERCENTAGES,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Of alteraser.")] = TOLERANCE,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the evidence.")] = None,
) -> None:
    """Forget core and edge users and judge the four axes."""
    pin_threads()
    shares = _whole(percentages)
    split, parent = live_model(data, model, set_)
    if split.test is None:
        raise typer.BadParameter("has no test part beside its training part", param_hint="--data")
    sets = []
    for found in measured(parent, split.test, data, shares, tolerance):
        sets.append(found)
        show(found)
    evidence = {"benchmark": "cure4rec", **provenance(), "dataset": described(data, split), "model": model}
    evidence |= {"hyperparameters": dict(parent.hyperparameters), "tolerance": tolerance, "sets": sets}
    write_json(json, evidence)


def show(found: Row) -> None:
    """Print one set's table."""
    whence = "published" if found["published"] else "by definition"
    title = f"{found['set']} {found['percentage']} % ({whence}): {found['users']} users"
    print_table(title, [row for row in found["rows"] if "failed" not in row])


def _whole(text: str) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not whole numbers", param_hint="--percentages") from None
    if not all(0 < each < 100 for each in found):
        raise typer.BadParameter("must lie between 0 and 100, both excluded", param_hint="--percentages")
    return found


def _basin(case: Case, answers: Mapping[str, Answer | NotConverged]) -> Basin:
    """The minimum that the most exact answer from the warm start leads to."""
    found = [answers[name] for name in ("alteraser-exact", "alteraser", "do-nothing")]
    best = next(answer for answer in found if isinstance(answer, Answer))
    return Basin.of(replace(case.parent, parameters=best.parameters, interactions=case.kept))


def _completeness(case: Case, basin: Basin, answer: Answer) -> Row:
    proof = case.kind.certify(answer.parameters, case.kept, case.parent.hyperparameters)
    moved = basin.distance(case.before, answer.parameters)
    return {
        "ri_all": basin.influence(case.before, answer.parameters),
        "certified_ri_all": None if proof is None else proof.bound_on_influence(moved),
        "still_served": answer.still_served,
    }


def _overlap(case: Case, answer: Answer, retrain: Answer | None) -> Row:
    if retrain is None:
        return {}
    own, reference = (lists(case.kind, each.parameters, case.kept) for each in (answer, retrain))
    return {f"{name}_retrained": value for name, value in alike(own, reference).items()}


def _utility_and_fairness(case: Case, test: Interactions, answer: Answer) -> Row:
    whole, of_active, of_inactive = (
        _accuracy(case, answer, part) for part in (test, *(of_users(test, rows) for rows in by_activity(case.kept)))
    )
    return {
        f"recall@{K}": whole.recall,
        f"ndcg@{K}": whole.ndcg,
        f"ndcg@{K}_active": of_active.ndcg,
        f"ndcg@{K}_inactive": of_inactive.ndcg,
        "unfairness": abs(of_active.ndcg - of_inactive.ndcg),
    }


def _accuracy(case: Case, answer: Answer, test: Interactions) -> Accuracy:
    def scores(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return case.kind.scores(answer.parameters, rows)

    return accuracy(scores, case.kept, test, [K])[K]


def _served(child: Snapshot, deletions: Deletions) -> int:
    return sum(subject in child.interactions.users for subject in deletions.subjects)


if __name__ == "__main__":
    typer.run(main)
