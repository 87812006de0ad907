"""How well and how fast every method forgets, against an oracle that cold retrains confirm.

    python -m benchmarks.unlearning --data ml-1m/receraser --forget user=median --seeds 3 --json median.json

Trains the live model with the shipped defaults (and what ``--set`` says), forgets, and judges every method; what each
figure means stands in `benchmarks.judge`. A folder may hold a training and a test part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from alteraser.eraser import TOLERANCE
from alteraser.loaders import Split
from alteraser.snapshot import Snapshot
from benchmarks.case import Case
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.forgotten import FORMS, UnknownForgetting, forgotten, in_the_open
from benchmarks.inputs import data_of, described, refused_in_words, settings
from benchmarks.judge import rows_of
from benchmarks.methods import METHODS, Trial
from benchmarks.models import trained_snapshot
from benchmarks.pictures import influence_against_seconds
from benchmarks.truth import Truth
from benchmarks.tuned import tuned

SHOWN = {
    "method": "method",
    "seconds": "seconds",
    "seconds_to_enough": "to 1e-2",
    "data_passes": "passes",
    "ri_affected": "RI aff.",
    "ri_all": "RI all",
    "objective_gap": "gap",
    "certified_rmse_ratio": "proven RMSE",
    "certified_ri_all": "proven RI",
    "jaccard@10_retrained": "Jaccard",
    "rbo@10_retrained": "RBO",
    "recall@10": "R@10",
    "ndcg@10": "N@10",
    "speedup_converged": "x conv.",
    "speedup_practical": "x pract.",
}
"""Columns of the table on the screen; the JSON has them all."""


def measured(
    parent: Snapshot,
    split: Split,
    *,
    forget: str,
    draw: int,
    seeds: int,
    methods: list[str],
    tolerance: float,
) -> dict[str, Any]:
    """Forget with every method and return the evidence.

    Args:
        parent: The live model, trained on the split's training part.
        split: The data.
        forget: What is forgotten; see `benchmarks.forgotten`.
        draw: Seed of the draw of that.
        seeds: Cold retrains: their seeds are 1, 2, ...
        methods: Names of `METHODS`.
        tolerance: Of the method ``alteraser``.

    Raises:
        BadParameter: There is no such thing to forget.
    """
    try:
        deletions = forgotten(forget, split.train, draw)
    except UnknownForgetting as error:
        raise typer.BadParameter(str(error), param_hint="--forget") from None
    case = Case.of(parent, deletions, split.test)
    truth = Truth.of(case, range(1, seeds + 1))
    rows = rows_of(Trial(case, truth, tolerance, seed=1), methods)
    return {
        "model": parent.kind,
        "hyperparameters": dict(parent.hyperparameters),
        "forget": in_the_open(forget),
        "draw": draw,
        "tolerance": tolerance,
        "forgotten": case.removed(),
        "rows": rows,
        "seed_floor": truth.seed_floor(case),
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder or file of interactions.")],
    forget: Annotated[str, typer.Option(help=f"What is forgotten: {FORMS}.")],
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    seeds: Annotated[int, typer.Option(min=1, help="Cold retrains that confirm the oracle.")] = 3,
    draw: Annotated[int, typer.Option(min=0, help="Seed of the draw of what is forgotten.")] = 0,
    methods: Annotated[str, typer.Option(help="Which methods, separated by commas.")] = ",".join(METHODS),
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Of alteraser, relative to what is left behind.")
    ] = TOLERANCE,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the evidence.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where to draw RI against seconds (SVG or PNG).")] = None,
) -> None:
    """Forget with every method and compare them."""
    pin_threads()
    chosen = known_methods(methods)
    split, parent = live_model(data, model, set_)
    found = measured(parent, split, forget=forget, draw=draw, seeds=seeds, methods=chosen, tolerance=tolerance)
    evidence = {"benchmark": "unlearning", **provenance(), "dataset": described(data, split), **found}
    show(evidence)
    write_json(json, evidence)
    if picture is not None:
        influence_against_seconds(evidence, picture)


def show(evidence: dict[str, Any]) -> None:
    """Print the table and how far the oracle is confirmed."""
    floor = evidence["seed_floor"]
    title = f"{evidence['model']} on {evidence['dataset']['name']}, {evidence['forget']}, draw {evidence['draw']}"
    print_table(title, [{name: row.get(key) for key, name in SHOWN.items()} for row in evidence["rows"]])
    for row in evidence["rows"]:
        if "failed" in row:
            print(f"{row['method']}: {row['failed']}")
    print(verdict(floor))


def verdict(floor: dict[str, Any]) -> str:
    """Say in a sentence what the oracle is worth."""
    n, worst = len(floor["against_oracle"]), floor["worst_ri_all"]
    if floor["oracle_confirmed"]:
        return (
            f"oracle confirmed: {n} cold retrains lie within RI all {worst:.1e} of it; below that RI resolves nothing"
        )
    if not n:
        gradient = floor["oracle_relative_gradient"]
        return f"oracle NOT confirmed: no cold retrain converged; its own relative gradient is {gradient:.1e}"
    return (
        f"oracle NOT confirmed: of {n} cold retrains one leaves RI all {worst:.1e} against the best known model "
        f"({floor['oracle']}): there is no one minimum that all reach, and RI is relative to the best"
    )


def known_methods(names: str) -> list[str]:
    """Return the methods named, separated by commas.

    Raises:
        BadParameter: There is no such method.
    """
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in METHODS]
    if unknown or not chosen:
        raise typer.BadParameter(
            f"unknown: {', '.join(unknown)}; known are {', '.join(METHODS)}", param_hint="--methods"
        )
    return chosen


def live_model(data: Path, model: str, set_: list[str] | None) -> tuple[Split, Snapshot]:
    """Return the data and a model trained on its training part from seed 0.

    Raises:
        BadParameter: The data, the kind or a hyper-parameter is not one.
    """
    given, split = tuned(data, model) | settings(set_), data_of(data)
    with refused_in_words():
        return split, trained_snapshot(model, given, split.train, seed=0)


if __name__ == "__main__":
    typer.run(main)
