"""Many deletions from one live model: every kind asked for, several draws of each, a file of evidence per deletion.

    python -m benchmarks.suite --data ml-1m/receraser --name ml-1m --forget user=median --forget users=60 --draws 5

Each deletion is measured as `benchmarks.unlearning` measures it; the live model is trained once. A picture is drawn of
the first draw of each kind.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from alteraser.eraser import TOLERANCE
from benchmarks.evidence import pin_threads, provenance, write_json
from benchmarks.forgotten import FORMS, in_the_open
from benchmarks.inputs import described
from benchmarks.methods import METHODS
from benchmarks.pictures import influence_against_seconds
from benchmarks.tables import FOLDER
from benchmarks.unlearning import known_methods, live_model, measured, show


def main(
    data: Annotated[Path, typer.Option(help="Folder or file of interactions.")],
    name: Annotated[str, typer.Option(help="What the files of evidence begin with.")],
    forget: Annotated[list[str], typer.Option(help=f"What is forgotten; repeatable: {FORMS}.")],
    draws: Annotated[int, typer.Option(min=1, help="Draws of each.")] = 1,
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    seeds: Annotated[int, typer.Option(min=1, help="Cold retrains that confirm each oracle.")] = 3,
    methods: Annotated[str, typer.Option(help="Which methods, separated by commas.")] = ",".join(METHODS),
    tolerance: Annotated[float, typer.Option(min=0.0, help="Of alteraser.")] = TOLERANCE,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    folder: Annotated[Path, typer.Option(help="Where the evidence goes.")] = FOLDER,
) -> None:
    """Measure many deletions."""
    pin_threads()
    chosen = known_methods(methods)
    split, parent = live_model(data, model, set_)
    folder.mkdir(parents=True, exist_ok=True)
    for spec in forget:
        for draw in range(draws):
            found = measured(parent, split, forget=spec, draw=draw, seeds=seeds, methods=chosen, tolerance=tolerance)
            evidence = {"benchmark": "unlearning", **provenance(), "dataset": described(data, split), **found}
            show(evidence)
            stem = f"{name}-{_in_a_file_name(in_the_open(spec))}"
            write_json(folder / f"{stem}-{draw}.json", evidence)
            if draw == 0:
                influence_against_seconds(evidence, folder / f"{stem}.svg")


def _in_a_file_name(spec: str) -> str:
    """The word without what a file name should not have."""
    return re.sub(r"[^\w.]+", "-", spec.replace("%", "pc")).strip("-")


if __name__ == "__main__":
    typer.run(main)
