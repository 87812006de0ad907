"""Recall and NDCG, trained and after unlearning.

    python -m benchmarks.accuracy --data ml-1m/receraser --model wmf --json accuracy.json

The data is any folder of the loaders with a training and a test part. Recall@k is hits over a user's test items, NDCG@k
takes the best possible list of min(k, test items) as 1; both are means over the users with test items that are still
there, over all items not seen in training.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from alteraser.eraser import unlearn
from alteraser.evaluate import accuracy
from alteraser.interactions import Interactions
from alteraser.kinds import kind
from alteraser.snapshot import Snapshot
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.inputs import data_of, described, refused_in_words, settings
from benchmarks.models import PARENT_DIGEST, random_users, trained_snapshot
from benchmarks.tuned import tuned

KS = (10, 20)


def row(seed: int, state: str, model: Snapshot, test: Interactions) -> dict[str, Any]:
    """Return one row: the accuracy of one model."""
    found = accuracy(lambda rows: kind(model.kind).scores(model.parameters, rows), model.interactions, test, KS)
    by_k = {f"{name}@{k}": getattr(found[k], name) for k in KS for name in ("recall", "ndcg")}
    return {"seed": seed, "state": state, **by_k}


def main(
    data: Annotated[Path, typer.Option(help="Folder with a training and a test part.")],
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    seeds: Annotated[int, typer.Option(min=1, help="How many trainings.")] = 3,
    users: Annotated[int, typer.Option(min=1, help="How many users are unlearned.")] = 60,
    draw: Annotated[int, typer.Option(help="Seed of the draw of those users.")] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the rows.")] = None,
) -> None:
    """Train, unlearn some users, and print the accuracy of both."""
    pin_threads()
    given, split = tuned(data, model) | settings(set_), data_of(data)
    if split.test is None:
        raise typer.BadParameter("has no test part beside its training part", param_hint="--data")
    rows = []
    for seed in range(seeds):
        with refused_in_words():
            parent = trained_snapshot(model, given, split.train, seed)
        rows.append(row(seed, "trained", parent, split.test))
        deletions = random_users(split.train, users, draw + seed)
        child = unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST).snapshot
        test = split.test.over(child.interactions.users, child.interactions.items)
        rows.append(row(seed, f"after {users} users unlearned", child, test))
    print_table(f"{model} on {data.name}, {', '.join(set_ or ['shipped defaults'])}", rows)
    evidence = {"benchmark": "accuracy", **provenance(), "dataset": described(data, split), "model": model}
    write_json(json, {**evidence, "hyperparameters": given, "rows": rows})


if __name__ == "__main__":
    typer.run(main)
