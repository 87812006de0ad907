"""What forgetting one person costs as the data grows: the local step, the index, the global step, and memory.

    python -m benchmarks.scaling --sizes 100k,1m,10m --json scaling.json --picture scaling.svg

The data is made up (`benchmarks.power_law`), between 943 x 1,682 with 100,000 interactions and 1,000,000 x 100,000
with 10,000,000. Up to ``--converged`` interactions the live model is trained to the tolerance of training; beyond, by
some alternating sweeps only, which changes nothing in what a local step or a pass over the data costs. Most of the
gradient was then left by the training and not by the deletion, so the global step there goes down to `TOLERANCE` of
all of it.
"""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated, Any

import torch
import typer

from alteraser.deletions import Deletions
from alteraser.eraser import TOLERANCE, Forgetting, local_step, unlearn
from alteraser.errors import NotConverged
from alteraser.interactions import Interactions
from alteraser.kinds import kind as kind_of
from alteraser.model import silent
from alteraser.snapshot import Snapshot
from alteraser.train import CPU, alternate
from benchmarks import memory
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.forgotten import forgotten
from benchmarks.inputs import settings
from benchmarks.models import PARENT_DIGEST, trained_snapshot
from benchmarks.pictures import cost_against_size
from benchmarks.power_law import power_law, shape_of

DRAWS = 5
FORGET = "user=median"
MULTIPLES = {"": 1, "k": 1_000, "m": 1_000_000}

SERIES = {
    "local_seconds": "local step",
    "rebuild_seconds": "index rebuild",
    "setup_seconds": "set-up of the objective",
    "global_seconds": "global step, everything included",
}

SHOWN = {
    "interactions": "interactions",
    "training": "training",
    "rebuild_seconds": "index",
    "setup_seconds": "set-up",
    "local_seconds": "local step",
    "global_seconds": "global step",
    "products": "products",
    "passes": "passes",
    "peak_over_model_and_data": "peak / (model + data)",
}
"""Columns of the table on the screen; the JSON has them all."""

Row = dict[str, Any]


def main(
    sizes: Annotated[str, typer.Option(help="Interactions, separated by commas: 100k, 3m ...")] = "100k,300k,1m,3m,10m",
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    sweeps: Annotated[int, typer.Option(min=1, help="Sweeps where training is not to convergence.")] = 5,
    converged: Annotated[str, typer.Option(help="Train to convergence up to that many interactions.")] = "300k",
    seed: Annotated[int, typer.Option(min=0, help="Of data, training and draws.")] = 0,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the evidence.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where to draw cost against size (SVG or PNG).")] = None,
) -> None:
    """Print what a median user's deletion costs at every size."""
    pin_threads()
    given, numbers = settings(set_), [_number(size, "--sizes") for size in sizes.split(",")]
    evidence = {
        "benchmark": "scaling",
        **provenance(),
        "dataset": {"name": "power law"},
        "model": model,
        "hyperparameters": given,
        "forget": FORGET,
        "tolerance": TOLERANCE,
        "rows": measure(numbers, model, given, sweeps, _number(converged, "--converged"), seed),
    }
    title = f"{model} on made-up data: forgetting a median user"
    print_table(title, [{name: row[key] for key, name in SHOWN.items()} for row in evidence["rows"]])
    write_json(json, evidence)
    if picture is not None:
        cost_against_size(evidence["rows"], SERIES, "interactions", picture)


def measure(sizes: list[int], model: str, given: dict[str, str], sweeps: int, converged: int, seed: int) -> list[Row]:
    """Return a row per size, each measured in a process of its own so that memory is counted from nothing."""
    context, rows = get_context("spawn"), []
    for size in sizes:
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
            rows.append(process.submit(row_of, size, model, given, sweeps if size > converged else None, seed).result())
    return rows


def row_of(n_interactions: int, model: str, given: dict[str, str], sweeps: int | None, seed: int) -> Row:
    """Make data of that size, train and forget.

    Args:
        n_interactions: The size.
        model: Model kind.
        given: Hyper-parameters.
        sweeps: How many to train with; to convergence when None.
        seed: Of data, training and draws.
    """
    pin_threads()
    memory.forget_peak()
    interpreter = memory.resident_bytes()
    data = power_law(*shape_of(n_interactions), n_interactions, seed)
    parent = trained_snapshot(model, given, data, seed) if sweeps is None else _swept(model, given, data, seed, sweeps)
    model_bytes, data_bytes = bytes_of(parent)
    return {
        "interactions": n_interactions,
        "users": data.n_users,
        "items": data.n_items,
        "d": parent.parameters.users.shape[1],
        "training": "converged" if sweeps is None else f"{sweeps} sweeps",
        **_local(parent, seed),
        **_global(parent, seed, interpreter, model_bytes + data_bytes, is_stationary=sweeps is None),
        "model_bytes": model_bytes,
        "data_bytes": data_bytes,
    }


def bytes_of(snapshot: Snapshot) -> tuple[int, int]:
    """Return the bytes of a model's parameters and of its data's arrays, ids not counted."""
    parameters, data = snapshot.parameters, snapshot.interactions
    tensors = (parameters.users, parameters.items, parameters.shared)
    arrays = (*data.by_user, *data.by_item, data.item_order)
    return sum(tensor.nbytes for tensor in tensors), sum(array.nbytes for array in arrays)


def _local(parent: Snapshot, seed: int) -> Row:
    """Medians over draws of a median user; nothing computed for one draw is there for the next."""
    rebuild, setup, local = [], [], []
    for draw in range(seed, seed + DRAWS):
        deletions = forgotten(FORGET, parent.interactions, draw)
        start = perf_counter()
        parent.interactions.without(deletions)
        rebuilt = perf_counter()
        forgetting = Forgetting.of(parent, deletions, CPU)  # rebuilds once more
        ready = perf_counter()
        local_step(forgetting)
        local.append(perf_counter() - ready)
        rebuild.append(rebuilt - start)
        setup.append(max(ready - rebuilt - rebuild[-1], 0.0))
    return {
        "rebuild_seconds": median(rebuild),
        "setup_seconds": median(setup),
        "local_seconds": median(local),
        "local_seconds_max": max(local),
    }


def _global(parent: Snapshot, seed: int, interpreter: int, needed_bytes: int, *, is_stationary: bool) -> Row:
    """One deletion to the tolerance, and the memory that was resident meanwhile."""
    deletions = forgotten(FORGET, parent.interactions, seed)
    tolerance = TOLERANCE if is_stationary else TOLERANCE * _whole_over_left(parent, deletions)
    memory.forget_peak()
    start = perf_counter()
    try:
        done = unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance)
    except NotConverged as failure:
        found: Row = {"global_seconds": None, "products": None, "passes": failure.steps}
    else:
        report = done.report
        found = {"global_seconds": perf_counter() - start, "products": report.inner, "passes": report.passes}
    peak = memory.peak_bytes() - interpreter
    return {**found, "peak_bytes": peak, "peak_over_model_and_data": peak / needed_bytes}


def _whole_over_left(parent: Snapshot, deletions: Deletions) -> float:
    """The gradient at the warm start over what the deletion alone left of it, which tolerances are relative to."""
    forgetting = Forgetting.of(parent, deletions, CPU)
    whole = forgetting.objective.value_and_gradient(forgetting.warm)[1].norm()
    return whole / local_step(forgetting).gradient


def _swept(model: str, given: dict[str, str], data: Interactions, seed: int, sweeps: int) -> Snapshot:
    kind = kind_of(model)
    hyperparameters = kind.hyperparameters(given, data)
    start = kind.initialise(data, hyperparameters, torch.Generator().manual_seed(seed))
    objective = kind.objective(data, hyperparameters, CPU)
    at = alternate(objective, start, sweeps, silent)
    residual = objective.value_and_gradient(at)[1].norm() / objective.gradient_scale(at)
    return Snapshot(kind.name, hyperparameters, at, data, watermark=0, parent=None, residual=residual)


def _number(text: str, option: str) -> int:
    found = re.fullmatch(r"(\d+)([km]?)", text.strip().lower())
    if found is None or not int(found[1]):
        raise typer.BadParameter(f"{text!r} is not a number such as 100k or 3m", param_hint=option)
    return int(found[1]) * MULTIPLES[found[2]]


if __name__ == "__main__":
    typer.run(main)
