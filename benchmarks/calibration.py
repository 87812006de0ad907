"""What a relative gradient means for the influence that is left: the tolerance against RI all, per deletion.

    python -m benchmarks.calibration --data ml-1m/receraser --json calibration.json

The oracle of each deletion is the same objective solved to 1e-6 of the gradient left behind; a test compares such an
oracle with a cold retrain.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from alteraser.deletions import Deletions
from alteraser.eraser import unlearn
from alteraser.influence import residual_influence
from alteraser.interactions import Interactions
from alteraser.kinds import kind
from alteraser.snapshot import Snapshot
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.inputs import described
from benchmarks.models import PARENT_DIGEST, carried_over, random_users
from benchmarks.unlearning import live_model

ORACLE_TOLERANCE = 1e-6
TOLERANCES = (1e-1, 3e-2, 2e-2, 1e-2, 1e-3)


def deletions_of(data: Interactions, draws: int) -> Iterator[tuple[str, Deletions]]:
    """Yield what is forgotten: a median and a heavy user, an item, and random draws of 1 and 60 users."""
    by_activity = np.argsort(data.by_user.counts, kind="stable")
    yield "median user", Deletions(subjects=frozenset([data.users.ids[by_activity[data.n_users // 2]]]))
    yield "heaviest user", Deletions(subjects=frozenset([data.users.ids[by_activity[-1]]]))
    yield "popular item", Deletions(items=frozenset([data.items.ids[int(data.by_item.counts.argmax())]]))
    for draw in range(draws):
        yield f"1 user, draw {draw}", random_users(data, 1, draw)
        yield f"60 users, draw {draw}", random_users(data, min(60, data.n_users // 10), draw)


def rows_for(parent: Snapshot, what: str, deletions: Deletions) -> Iterator[dict[str, Any]]:
    """Yield a row per tolerance."""
    model_kind = kind(parent.kind)

    def forget(tolerance: float) -> tuple[Snapshot, float, int]:
        start = perf_counter()
        done = unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance)
        return done.snapshot, perf_counter() - start, done.report.inner

    oracle, _, _ = forget(ORACLE_TOLERANCE)
    before = carried_over(parent, oracle.interactions)
    for tolerance in TOLERANCES:
        child, seconds, inner = forget(tolerance)
        yield {
            "forgotten": what,
            "tolerance": tolerance,
            "seconds": seconds,
            "products": inner,
            "ri_all": residual_influence(model_kind, before, child.parameters, oracle.parameters),
        }


def main(
    data: Annotated[Path, typer.Option(help="Folder or file of interactions.")],
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    draws: Annotated[int, typer.Option(min=0, help="Random draws beside the fixed deletions.")] = 2,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the rows.")] = None,
) -> None:
    """Print the influence that is left at each tolerance."""
    pin_threads()
    split, parent = live_model(data, model, set_)
    found = [row for what, deletions in deletions_of(split.train, draws) for row in rows_for(parent, what, deletions)]
    evidence = {
        "benchmark": "calibration",
        **provenance(),
        "dataset": described(data, split),
        "model": model,
        "hyperparameters": dict(parent.hyperparameters),
        "rows": found,
    }
    print_table(f"{model} on {evidence['dataset']['name']}: residual influence by tolerance (do nothing = 1)", found)
    write_json(json, evidence)


if __name__ == "__main__":
    typer.run(main)
