"""What an attacker learns of somebody who was deleted: membership by likelihood ratio, and before against after.

    python -m benchmarks.attack --data ml-100k --model wmf --seed 0 --shadows 32 --json attack.json --picture attack.svg

Trains shadow models on the data with canaries planted in it, forgets each target in each shadow with every method, and
infers membership from what is left (`benchmarks.membership`, `benchmarks.traces`). Then deletes users one by one and
many at once from one live model, and guesses their items from what changed (`benchmarks.difference`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress as Bar

from alteraser.interactions import Interactions
from benchmarks.canaries import CANARY, GROUPS, Target, chosen, planted
from benchmarks.difference import BATCH, recovered
from benchmarks.evidence import pin_threads, print_table, provenance, write_json
from benchmarks.inputs import data_of, described, refused_in_words, settings
from benchmarks.membership import CONFIDENCE, MOST_FALSE, Observed, Verdict, attacked, curve, with_statistic
from benchmarks.models import trained_snapshot
from benchmarks.observations import RETRAINED, TREATMENTS, observed
from benchmarks.pictures import caught_against_false_alarms
from benchmarks.shadows import Plan
from benchmarks.tables import ATTACK_COLUMNS
from benchmarks.traces import ATTACKERS
from benchmarks.tuned import tuned


def targets_of(data: Interactions, groups: Sequence[str], n: int, seed: int) -> tuple[Interactions, list[Target]]:
    """Return the data with canaries in it, and that many targets of every group."""
    with_canaries, canaries = planted(data, n if CANARY in groups else 0, seed)
    others = [target for group in groups if group != CANARY for target in chosen(data, group, n, seed)]
    return with_canaries, _once_each([*others, *canaries])


def membership_rows(
    found: Mapping[str, Mapping[str, Sequence[Observed]]], groups: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a row for each group, attacker and method."""
    rows = []
    for group in groups:
        for attacker, statistics in ATTACKERS.items():
            verdicts = {method: attacked(_limited(found[method][group], statistics)) for method in found}
            yardstick = verdicts[RETRAINED].caught
            rows += [
                _row(group, attacker, method, verdict, like_retrained=verdict.caught.overlaps(yardstick))
                | {"each": _each(found[method][group], statistics)}
                for method, verdict in verdicts.items()
            ]
    return rows


def main(
    data: Annotated[Path, typer.Option(help="Folder or file of interactions.")],
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    shadows: Annotated[int, typer.Option(min=8, help="Shadow models, and as many retrained ones.")] = 32,
    targets: Annotated[int, typer.Option(min=2, help="Targets of each group.")] = 8,
    groups: Annotated[str, typer.Option(help="Which groups, separated by commas.")] = ",".join(GROUPS),
    unknown: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the other users whom the attacker has to guess.")
    ] = 0.0,
    methods: Annotated[str, typer.Option(help="Which ways to forget, separated by commas.")] = ",".join(TREATMENTS),
    deletions: Annotated[int, typer.Option(min=1, help="Users whose items are guessed from before and after.")] = 10,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Hyper-parameter NAME=VALUE; repeatable.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where to write the evidence.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Where to draw the curves (SVG or PNG).")] = None,
) -> None:
    """Attack models that have forgotten."""
    pin_threads()
    chosen_groups = _known(groups, GROUPS, "--groups")
    treatments = _known(methods, TREATMENTS, "--methods")
    given, split = tuned(data, model) | settings(set_), data_of(data)
    with_canaries, aims = targets_of(split.train, chosen_groups, targets, seed)
    plan = Plan(model, given, with_canaries, tuple(aim.user for aim in aims), unknown, seed)
    with refused_in_words(), Bar(transient=True) as bar:
        task = bar.add_task("shadows")
        found = observed(plan, aims, shadows, lambda done, of: bar.update(task, completed=done, total=of), treatments)
        live = trained_snapshot(model, given, split.train, seed)
    evidence = {
        "benchmark": "attack",
        **provenance(),
        "dataset": described(data, split),
        "model": model,
        "hyperparameters": dict(live.hyperparameters),
        "seed": seed,
        "shadows": shadows,
        "targets": targets,
        "unknown": unknown,
        "confidence": CONFIDENCE,
        "most_false": MOST_FALSE,
        "rows": membership_rows(found, chosen_groups),
        "batch": BATCH,
        "differences": recovered(live, deletions, seed),
    }
    show(evidence)
    write_json(json, evidence)
    if picture is not None:
        caught_against_false_alarms(evidence, picture)


def show(evidence: Mapping[str, Any]) -> None:
    """Print both tables."""
    title = f"{evidence['model']} on {evidence['dataset']['name']}, seed {evidence['seed']}"
    rows = [{name: row[key] for key, name in ATTACK_COLUMNS.items()} for row in evidence["rows"]]
    print_table(f"{title}: was somebody there who has been forgotten?", rows)
    print_table(f"{title}: which items had the deleted, from before and after?", evidence["differences"])


def _row(group: str, attacker: str, method: str, verdict: Verdict, *, like_retrained: bool) -> dict[str, Any]:
    return {
        "group": group,
        "attacker": attacker,
        "method": method,
        "statistics": ", ".join(dict.fromkeys(verdict.statistics)),
        "auc": verdict.area,
        "caught": verdict.caught.share,
        "interval": f"{verdict.caught.low:.3f} to {verdict.caught.high:.3f}",
        "like_retrained": "yes" if like_retrained else "no",
        "members": len(verdict.inside),
        "others": len(verdict.outside),
        "caught_low": verdict.caught.low,
        "caught_high": verdict.caught.high,
        "curve": curve(verdict.inside, verdict.outside),
    }


def _each(targets: Sequence[Observed], statistics: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How every statistic does by itself."""
    verdicts = {name: with_statistic(targets, name) for name in statistics}
    return {name: {"auc": verdict.area, **asdict(verdict.caught)} for name, verdict in verdicts.items()}


def _limited(targets: Sequence[Observed], statistics: Sequence[str]) -> list[Observed]:
    return [one.only(statistics) for one in targets]


def _once_each(targets: Sequence[Target]) -> list[Target]:
    """Everybody in the first group that drew them."""
    return list({target.user: target for target in reversed(targets)}.values())[::-1]


def _known(names: str, there_are: Collection[str], option: str) -> list[str]:
    asked = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in asked if name not in there_are]
    if unknown or not asked:
        raise typer.BadParameter(f"unknown: {', '.join(unknown)}; known are {', '.join(there_are)}", param_hint=option)
    return asked


if __name__ == "__main__":
    typer.run(main)
