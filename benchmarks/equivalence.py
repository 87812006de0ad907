"""Ways that must not matter: the same data left, reached in another order, in batches, or without what was added.

    python -m benchmarks.equivalence --data ml-100k/cure4rec --deletions 60 --batch 10 --json equivalence.json

Two experiments. *Order*: the same deletions one by one, one by one in reverse, in batches and as one batch. All of them
are compared with the minimum that the one batch leads to; the live model, which does nothing, is RI 1. *Add, then
delete*: a model that never saw some users is the oracle; they are added, by training anew or by going on from that
model, and then deleted. The constants a kind fixes at training are those of the model that never saw them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import torch
import typer

from alteraser.deletions import Deletions
from alteraser.eraser import TOLERANCE, retrain
from alteraser.interactions import Interactions
from alteraser.kinds import kind as kind_of
from alteraser.loaders import Split
from alteraser.model import Parameters, silent
from alteraser.snapshot import Snapshot
from alteraser.train import CPU, solve
from alteraser.train import TOLERANCE as TRAINING_TOLERANCE
from benchmarks.basin import Basin
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.inputs import data_of, described, refused_in_words, settings
from benchmarks.methods import EXACT
from benchmarks.models import PARENT_DIGEST, carried_over, trained_snapshot
from benchmarks.sequence import SEQUENCES, all_of, batches
from benchmarks.stream import Run, drawn_deletions, steps
from benchmarks.truth import alike, lists
from benchmarks.tuned import tuned

Row = dict[str, Any]

OTHER_SEED = 1


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """One way to some data, carried out.

    Attributes:
        name: In words.
        runs: How many unlearning runs it took.
        seconds: Of all of them.
        model: Where it led.
    """

    name: str
    runs: int
    seconds: float
    model: Snapshot


def ways(original: Snapshot, deletions: list[Deletions], batch: int, tolerance: float) -> list[Way]:
    """Carry the same deletions out in different orders and batches.

    Args:
        original: The live model.
        deletions: In order.
        batch: How many make a batch.
        tolerance: Of every run.

    Raises:
        NotConverged: A run did not reach the tolerance.
    """
    schedules = {
        "one by one": deletions,
        "one by one, reversed": deletions[::-1],
        f"batches of {batch}": list(batches(deletions, batch)),
        "one batch": [all_of(deletions)],
    }
    return [_gone(name, original, schedule, tolerance) for name, schedule in schedules.items()]


def compared(original: Snapshot, found: Sequence[Way], basin: Basin) -> list[Row]:
    """Return a row per way and one for doing nothing.

    ``farthest_rmse`` is the largest score RMSE between the way and another; ``same_data`` whether it has kept, byte by
    byte, what the oracle's is.

    Args:
        original: The live model.
        found: The ways; at least two.
        basin: Of one of them: the oracle of all.
    """
    nothing = carried_over(original, basin.data)
    rows = []
    for way in found:
        others = [other for other in found if other is not way]
        same = way.model.interactions.digest() == basin.data.digest()
        apart = max(basin.rmse(way.model.parameters, other.model.parameters) for other in others)
        judged = _judged(basin, nothing, way.model.parameters)
        rows.append({**_head(way.name, way.runs, way.seconds), **judged, "farthest_rmse": apart, "same_data": same})
    rows.append({**_head("do nothing", 0, 0.0), **_judged(basin, nothing, nothing), **_ALONE})
    return rows


def retrained_row(original: Snapshot, deletions: Deletions, basin: Basin) -> Row:
    """Return the row of a cold retrain: which confirms the oracle where a kind has one minimum.

    Raises:
        NotConverged: It did not reach the tolerance of training.
    """
    done = retrain(original, deletions, watermark=1, parent_digest=PARENT_DIGEST, seed=OTHER_SEED, tolerance=0.0)
    judged = _judged(basin, carried_over(original, basin.data), done.snapshot.parameters)
    return {**_head("cold retrain", 1, sum(done.report.seconds.values())), **judged, **_ALONE}


def added_then_deleted(
    kind: str, given: dict[str, str], data: Interactions, visitors: Deletions, tolerances: Sequence[float]
) -> list[Row]:
    """Return a row per way to add the visitors and per tolerance of their deletion.

    The oracle is the model that never saw them, itself: ``ri_all`` is 1 for the model that still has them. ``ri_basin``
    has the minimum that the answer leads to for its oracle instead: for a kind of many minima a training anew is in
    another one.

    Args:
        kind: Name of the model kind.
        given: Hyper-parameters that differ from the kind's defaults.
        data: With the visitors.
        visitors: Who is added and deleted again.
        tolerances: Of the deletion.

    Raises:
        NotConverged: A solver did not reach its tolerance.
    """
    never = trained_snapshot(kind, given, data.without(visitors), seed=0)
    rows = []
    for name, added in {
        "trained anew": trained_snapshot(kind, never.hyperparameters, data, seed=OTHER_SEED),
        "trained on": _grown(never, data),
    }.items():
        nothing = carried_over(added, never.interactions)
        rows.append(
            {"added": name, "deleted": "do nothing", **_returned(never, nothing, _gone_nowhere(never, nothing))}
        )
        for tolerance in tolerances:
            way = _gone(f"tolerance {tolerance:g}", added, [visitors], tolerance)
            rows.append({"added": name, "deleted": way.name, **_returned(never, nothing, way)})
    return rows


def main(
    data: Annotated[Path, typer.Option(help="Folder or file of interactions.")],
    deletions: Annotated[int, typer.Option(min=2, help="How many deletions.")] = 60,
    batch: Annotated[int, typer.Option(min=2, help="How many of them make a batch.")] = 10,
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    forget: Annotated[str, typer.Option(help=f"What each forgets: {', '.join(SEQUENCES)}.")] = "users",
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Of every run.")] = TOLERANCE,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the evidence.")] = None,
) -> None:
    """Reach the same data in different ways and compare the models."""
    pin_threads()
    split = data_of(data)
    drawn = drawn_deletions(forget, split, deletions, seed)
    given = tuned(data, model) | settings(set_)
    with refused_in_words():
        original = trained_snapshot(model, given, split.train, seed=0)
    found = ways(original, drawn, batch, tolerance)
    basin = Basin.of(found[-1].model)
    rows = [*compared(original, found, basin), retrained_row(original, all_of(drawn), basin)]
    evidence: Row = {
        "benchmark": "equivalence",
        **provenance(),
        "dataset": described(data, split),
        "model": model,
        "hyperparameters": dict(original.hyperparameters),
        "forget": forget,
        "deletions": deletions,
        "seed": seed,
        "tolerance": tolerance,
        "rows": rows,
        "added": _visits(model, given, split, seed, deletions, tolerance),
    }
    show(evidence)
    write_json(json, evidence)


def show(evidence: Row) -> None:
    """Print both tables."""
    name = f"{evidence['model']} on {evidence['dataset']['name']}"
    print_table(f"{name}: {evidence['deletions']} x {evidence['forget']}, in other ways", evidence["rows"])
    print_table(f"{name}: users added, then deleted; against the model that never saw them", evidence["added"])


_ALONE: Row = {"farthest_rmse": None, "same_data": None}


def _visits(model: str, given: dict[str, str], split: Split, seed: int, n: int, tolerance: float) -> list[Row]:
    """Add and delete one user, and as many as there are deletions."""
    rows = []
    for visitors in (1, n):
        drawn = all_of(drawn_deletions("users", split, visitors, seed))
        found = added_then_deleted(model, given, split.train, drawn, (tolerance, EXACT))
        rows += [{"users": visitors, **row} for row in found]
    return rows


def _gone(name: str, start: Snapshot, schedule: list[Deletions], tolerance: float) -> Way:
    began = perf_counter()
    (last,) = deque(steps(start, schedule, 1, Run(tolerance)), maxlen=1)
    return Way(name, len(schedule), perf_counter() - began, last.child)


def _gone_nowhere(never: Snapshot, nothing: Parameters) -> Way:
    return Way("do nothing", 0, 0.0, replace(never, parameters=nothing))


def _head(name: str, runs: int, seconds: float) -> Row:
    return {"way": name, "runs": runs, "seconds": seconds}


def _judged(basin: Basin, nothing: Parameters, at: Parameters) -> Row:
    kind = kind_of(basin.kind)
    return {
        "ri_all": basin.influence(nothing, at),
        "rmse": basin.rmse(at),
        "objective_gap": basin.gap(at),
        **alike(lists(kind, at, basin.data), lists(kind, basin.oracle, basin.data)),
    }


def _returned(never: Snapshot, nothing: Parameters, way: Way) -> Row:
    """How a model compares with the one that never saw what it has forgotten."""
    kind, at, data = kind_of(never.kind), way.model.parameters, never.interactions
    basin = Basin.of(way.model)
    oracle = replace(basin, oracle=never.parameters)
    return {
        "seconds": way.seconds,
        "same_data": way.model.interactions.digest() == data.digest(),
        "ri_all": oracle.influence(nothing, at),
        "ri_basin": basin.influence(nothing, at),
        "rmse": oracle.rmse(at),
        **alike(lists(kind, at, data), lists(kind, never.parameters, data)),
    }


def _grown(never: Snapshot, data: Interactions) -> Snapshot:
    """A model trained on ``data`` from a trained one: rows it lacks start at random."""
    kind, hyperparameters = kind_of(never.kind), never.hyperparameters
    fresh = kind.initialise(data, hyperparameters, torch.Generator().manual_seed(OTHER_SEED))
    users = _with_known(fresh.users, data.users.rows(never.interactions.users.ids), never.parameters.users)
    items = _with_known(fresh.items, data.items.rows(never.interactions.items.ids), never.parameters.items)
    objective = kind.objective(data, hyperparameters, CPU)
    start = Parameters(users, items, never.parameters.shared.clone())
    scale = objective.gradient_scale(start)
    found = solve(objective, start, target=TRAINING_TOLERANCE * scale, scale=scale, coarse=scale, watch=silent)
    return replace(never, parameters=found.parameters, interactions=data)


def _with_known(fresh: torch.Tensor, rows: Any, known: torch.Tensor) -> torch.Tensor:
    """The known rows among fresh ones, which are cut or filled with zeros to their width."""
    width = known.shape[1]
    filled = torch.zeros(len(fresh), width, dtype=fresh.dtype)
    shared = min(width, fresh.shape[1])
    filled[:, :shared] = fresh[:, :shared]
    filled[rows] = known
    return filled


if __name__ == "__main__":
    typer.run(main)
