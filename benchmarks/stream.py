"""Thousands of deletions one after the other, and whether what each of them leaves adds up.

    python -m benchmarks.stream --data ml-1m/receraser --deletions 1000 --every 50 --json stream.json

Every deletion is a run of its own, from the last one's child and nothing else, at the service's tolerance: what a
service does that answers one person at a time, its random step included. Every K deletions the model is compared with
the minimum it leads to on what is left, and at the end with a cold retrain; the figures are defined in
`benchmarks.drift`. With ``--checkpoint`` a run that was stopped goes on where its last point was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from alteraser.deletions import Deletions
from alteraser.eraser import TOLERANCE, retrain, unlearn
from alteraser.errors import NotConverged
from alteraser.kinds import kind as kind_of
from alteraser.loaders import Split
from alteraser.perturbation import fresh_noise
from alteraser.snapshot import Snapshot
from benchmarks.basin import Basin
from benchmarks.checkpoint import Checkpoint, OtherRun, State
from benchmarks.drift import Row, Step, point, trends, verdict, worst
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.inputs import data_of, described, refused_in_words, settings
from benchmarks.models import PARENT_DIGEST, carried_over, trained_snapshot
from benchmarks.pictures import error_against_deletions
from benchmarks.sequence import SEQUENCES, TooManyDeletions, all_of, sequence
from benchmarks.truth import AGREED_INFLUENCE, alike, lists
from benchmarks.tuned import tuned

SHOWN = {
    "deletion": "deletions",
    "rmse": "RMSE",
    "nothing_rmse": "nothing",
    "ri_last": "RI last",
    "ri_stream": "RI stream",
    "objective_gap": "gap",
    "gradient": "gradient",
    "certified_rmse_ratio": "proven RMSE/RMS",
    "certified_ri_stream": "proven RI",
    "jaccard@10": "Jaccard",
    "nothing_jaccard@10": "nothing's",
    "width": "width",
    "oracle_width": "oracle's",
}
"""Columns of the table on the screen; the JSON has them all."""

COLD_SEED = 1
POINTS = 20
"""On the curve, where ``--every`` does not say."""


@dataclass(frozen=True, slots=True)
class Run:
    """How every deletion of a stream is carried out.

    Attributes:
        tolerance: Of the run.
        perturb: Whether the run ends with the random step of `alteraser.perturbation`.
    """

    tolerance: float
    perturb: bool = False


def steps(start: Snapshot, deletions: list[Deletions], first: int, run: Run) -> Iterator[Step]:
    """Carry the deletions out one after the other, each from the last one's child.

    Args:
        start: The model before the first of them.
        deletions: What to forget, in order.
        first: The number of the first.
        run: How each of them is carried out.

    Raises:
        NotConverged: One of them did not reach the tolerance.
    """
    current = start
    for number, deletion in enumerate(deletions, first):
        started = perf_counter()
        done = unlearn(
            current,
            deletion,
            watermark=number,
            parent_digest=PARENT_DIGEST,
            tolerance=run.tolerance,
            noise=fresh_noise() if run.perturb else None,
        )
        yield Step(number, current, done.snapshot, done.report, perf_counter() - started)
        current = done.snapshot


def streamed(
    original: Snapshot, deletions: list[Deletions], every: int, run: Run, checkpoint: Checkpoint | None = None
) -> Row:
    """Carry a stream out and return its curve, its trends, its costs and how it compares with a retrain at the end.

    Args:
        original: The model it begins with.
        deletions: In order.
        every: Deletions from one point of the curve to the next; the first and the last deletion have points too.
        run: How each of them is carried out.
        checkpoint: Where its state is kept.

    Raises:
        NotConverged: A deletion did not reach the tolerance.
    """
    state = (checkpoint.load() if checkpoint else None) or State(original, original, {"records": [], "points": []})
    current, records, points = state.current, state.evidence["records"], state.evidence["points"]
    for step in steps(current, deletions[len(records) :], len(records) + 1, run):
        current = step.child
        records.append(step.record())
        if step.number in (1, len(deletions)) or step.number % every == 0:
            points.append(point(original, step))
            _tell(points[-1], len(deletions))
            if checkpoint:
                checkpoint.save(State(original, current, {"records": records, "points": points}))
    found, worst_influence = trends(points, records), worst(points)
    return {
        "points": points,
        "trends": found,
        "worst_ri_last": worst_influence,
        "verdict": verdict(found, worst_influence),
        "seconds": _costs([record["seconds"] for record in records]),
        "removed": {name: sum(record[name] for record in records) for name in ("users", "items", "interactions")},
        "cold": against_retrain(original, current, all_of(deletions)),
        "records": records,
    }


def against_retrain(original: Snapshot, final: Snapshot, deletions: Deletions) -> Row:
    """Return how the model at the end of a stream compares with a cold retrain on what is left.

    ``ri_stream`` has the retrain for its oracle, so that nothing of the stream is in it; ``same_minimum`` tells whether
    the minimum that the stream leads to is the retrain's.
    """
    try:
        done = retrain(original, deletions, watermark=1, parent_digest=PARENT_DIGEST, seed=COLD_SEED, tolerance=0.0)
    except NotConverged as failure:
        return {"failed": str(failure)}
    cold, basin = done.snapshot, Basin.of(final)
    kind, data = kind_of(final.kind), final.interactions
    nothing = carried_over(original, data)
    moved = basin.distance(nothing, cold.parameters)
    lists_of_cold = lists(kind, cold.parameters, data)
    return {
        "same_data": cold.interactions.digest() == data.digest(),
        "seconds": sum(done.report.seconds.values()),
        "rmse": basin.rmse(final.parameters, cold.parameters),
        "ri_stream": (basin.distance(final.parameters, cold.parameters) / moved) ** 2,
        "objective_gap": basin.objective.value_and_gradient(final.parameters)[0] - done.report.objective,
        "oracle_ri": (basin.distance(cold.parameters) / moved) ** 2,
        "same_minimum": (basin.distance(cold.parameters) / moved) ** 2 <= AGREED_INFLUENCE,
        **alike(lists(kind, final.parameters, data), lists_of_cold),
        **{f"nothing_{name}": value for name, value in alike(lists(kind, nothing, data), lists_of_cold).items()},
    }


def main(
    data: Annotated[Path, typer.Option(help="Folder or file of interactions.")],
    deletions: Annotated[int, typer.Option(min=1, help="How many, one after the other.")],
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    forget: Annotated[str, typer.Option(help=f"What each forgets: {', '.join(SEQUENCES)}.")] = "users",
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    every: Annotated[int | None, typer.Option(min=1, help="Deletions between two points of the curve.")] = None,
    tolerance: Annotated[float, typer.Option(min=0.0, help="Of every run.")] = TOLERANCE,
    perturb: Annotated[bool, typer.Option(help="End every run with the service's random step.")] = True,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Folder to keep the state in, and to go on from.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the evidence.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where to draw the curve (SVG or PNG).")] = None,
) -> None:
    """Forget many times and watch the error."""
    pin_threads()
    split = data_of(data)
    drawn = drawn_deletions(forget, split, deletions, seed)
    given = tuned(data, model) | settings(set_)
    run = Run(tolerance, perturb)
    asked = {"model": model, "forget": forget, "seed": seed, "deletions": deletions, **asdict(run)}
    keeper = Checkpoint(checkpoint, {**asked, "set": given, "data": split.train.digest()}) if checkpoint else None
    original = _begun(keeper) or _trained(model, given, split)
    between = every or max(deletions // POINTS, 1)
    found = streamed(original, drawn, between, run, keeper)
    evidence: Row = {
        "benchmark": "stream",
        **provenance(),
        "dataset": described(data, split),
        "hyperparameters": dict(original.hyperparameters),
        **asked,
        "every": between,
        **found,
    }
    show(evidence)
    write_json(json, evidence)
    if picture is not None:
        error_against_deletions(evidence, picture)


def show(evidence: dict[str, Any]) -> None:
    """Print the curve and what it amounts to."""
    title = f"{evidence['model']} on {evidence['dataset']['name']}: {evidence['deletions']} x {evidence['forget']}"
    points = [each for each in evidence["points"] if "failed" not in each]
    print_table(title, [{name: each[key] for key, name in SHOWN.items()} for each in points])
    print(evidence["verdict"])
    print(f"seconds per deletion: {evidence['seconds']}")
    print(f"against a cold retrain on what is left: {evidence['cold']}")


def drawn_deletions(word: str, split: Split, n: int, seed: int) -> list[Deletions]:
    """Return the deletions a word stands for.

    Raises:
        BadParameter: There is no such word, or there are not so many deletions.
    """
    if word not in SEQUENCES:
        raise typer.BadParameter(f"{word!r} is none of {', '.join(SEQUENCES)}", param_hint="--forget")
    try:
        return sequence(word, split.train, n, seed)
    except TooManyDeletions as error:
        raise typer.BadParameter(str(error), param_hint="--deletions") from None


def _begun(checkpoint: Checkpoint | None) -> Snapshot | None:
    """The model that an interrupted run began with."""
    try:
        state = checkpoint.load() if checkpoint else None
    except OtherRun as error:
        raise typer.BadParameter(str(error), param_hint="--checkpoint") from None
    return state.original if state else None


def _trained(model: str, given: dict[str, str], split: Split) -> Snapshot:
    with refused_in_words():
        return trained_snapshot(model, given, split.train, seed=0)


def _tell(found: Row, of: int) -> None:
    if "failed" in found:
        print(f"{found['deletion']}/{of}: no oracle: {found['failed']}", flush=True)
    else:
        print(f"{found['deletion']}/{of}: RMSE {found['rmse']:.2e}, RI last {found['ri_last']:.2e}", flush=True)


def _costs(seconds: list[float]) -> Row:
    return {
        "median": float(np.median(seconds)),
        "p95": float(np.quantile(seconds, 0.95)),
        "max": max(seconds),
        "total": sum(seconds),
    }


if __name__ == "__main__":
    typer.run(main)
