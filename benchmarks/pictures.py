"""Pictures of the evidence: influence that is left against seconds and against deletions, and cost against size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {
    "do-nothing": "#000000",
    "drop-row": "#7f7f7f",
    "local": "#9467bd",
    "alternation": "#ff7f0e",
    "adamw": "#8c564b",
    "alteraser": "#1f77b4",
    "alteraser-exact": "#17becf",
    "alteraser-perturbed": "#bcbd22",
    "retrain-converged": "#2ca02c",
    "retrain-practical": "#d62728",
    "unlearned": "#1f77b4",
    "unlearned-bare": "#9467bd",
    "unlearned-audit": "#17becf",
    "retrained": "#2ca02c",
}
LEAST_SECONDS = 1e-4
SIZE_INCHES = (7.0, 4.4)
SMALL_INCHES = 2.6
LEAST_RATE = 3e-3
SALT = "alteraser"
"""Names inside an SVG are made from it and not from a random number: the same evidence gives the same file."""


def influence_against_seconds(evidence: Mapping[str, Any], path: Path) -> None:
    """Draw RI all against seconds for every method that has both: a mark for its row, a line for its curve."""
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for row in evidence["rows"]:
        if row["ri_all"]:
            _draw_method(axes, row)
    worst = evidence["seed_floor"]["worst_ri_all"]
    if worst:
        axes.axhline(worst, color="#2ca02c", linewidth=0.8, linestyle=":", label="farthest converged retrain")
    axes.set(xscale="log", yscale="log", xlabel="seconds", ylabel="residual influence, all pairs (do nothing = 1)")
    axes.set_title(f"{evidence['model']} on {evidence['dataset']['name']}: forgetting {evidence['forget']}")
    _finish(figure, axes, path)


def cost_against_size(rows: Sequence[Mapping[str, Any]], series: Mapping[str, str], x: str, path: Path) -> None:
    """Draw columns of rows against a size.

    Args:
        rows: One per size; a point that is None is left out.
        series: Label by key of the column.
        x: Key of the size.
        path: Where to, SVG or PNG by its ending.
    """
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    axes = figure.add_subplot()
    for key, label in series.items():
        points = [(row[x], row[key]) for row in rows if row[key]]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=label)
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel="seconds")
    _finish(figure, axes, path)


def error_against_deletions(evidence: Mapping[str, Any], path: Path) -> None:
    """Draw what a stream of deletions leaves against their number: score error above, residual influence below.

    Args:
        evidence: Of `benchmarks.stream`.
        path: Where to, SVG or PNG by its ending.
    """
    figure = Figure(figsize=(SIZE_INCHES[0], 1.5 * SIZE_INCHES[1]), layout="constrained")
    errors, influences = figure.subplots(2, sharex=True)
    points = [each for each in evidence["points"] if "failed" not in each]
    _draw_curve(errors, points, "nothing_rmse", "do nothing", "do-nothing")
    _draw_curve(errors, points, "rmse", "unlearned, one by one", "alteraser")
    _draw_curve(influences, points, "certified_ri_stream", "all deletions, proven bound", "retrain-converged")
    _draw_curve(influences, points, "ri_stream", "all deletions", "alteraser")
    _draw_curve(influences, points, "ri_last", "the last deletion", "alteraser-exact")
    errors.set(yscale="log", ylabel="score RMSE against the oracle")
    influences.set(yscale="log", xlabel="deletions", ylabel="residual influence, all pairs (do nothing = 1)")
    errors.set_title(f"{evidence['model']} on {evidence['dataset']['name']}: {evidence['forget']}, one after the other")
    errors.grid(visible=True, which="major", linewidth=0.3)
    errors.legend(fontsize=8)
    _finish(figure, influences, path)


def caught_against_false_alarms(evidence: Mapping[str, Any], path: Path) -> None:
    """Draw, for every attacker and group, the members caught against the false alarms, both on logarithmic axes.

    Args:
        evidence: Of `benchmarks.attack`.
        path: Where to, SVG or PNG by its ending.
    """
    groups, attackers = (list(dict.fromkeys(row[key] for row in evidence["rows"])) for key in ("group", "attacker"))
    size = (SMALL_INCHES * len(groups), SMALL_INCHES * len(attackers))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(attackers), len(groups), squeeze=False, sharex=True, sharey=True)
    for row in evidence["rows"]:
        axes = panels[attackers.index(row["attacker"])][groups.index(row["group"])]
        axes.set_title(f"{row['group']}: attacker holds {row['attacker']}", fontsize=8)
        axes.plot(*zip(*row["curve"], strict=True), color=COLOURS[row["method"]], linewidth=1.2, label=row["method"])
    for axes in panels.flat:
        axes.plot([LEAST_RATE, 1], [LEAST_RATE, 1], color="#bbbbbb", linewidth=0.8, linestyle=":")
        axes.set(xscale="log", yscale="log", xlim=(LEAST_RATE, 1), ylim=(LEAST_RATE, 1.05))
        axes.grid(visible=True, which="major", linewidth=0.3)
    figure.supxlabel("false positive rate", fontsize=9)
    figure.supylabel("true positive rate", fontsize=9)
    _finish(figure, panels[0][0], path)


def _draw_curve(axes: Axes, points: Sequence[Mapping[str, Any]], key: str, label: str, colour: str) -> None:
    known = [(each["deletion"], each[key]) for each in points if each[key]]
    if known:
        axes.plot(*zip(*known, strict=True), color=COLOURS[colour], marker="o", markersize=3, label=label)


def _draw_method(axes: Axes, row: Mapping[str, Any]) -> None:
    colour, curve = COLOURS[row["method"]], [(at["seconds"], at["ri_all"]) for at in row["curve"] if at["ri_all"]]
    if curve:
        axes.plot(*zip(*curve, strict=True), color=colour, linewidth=1.0, alpha=0.7)
    seconds = max(row["seconds"], LEAST_SECONDS)
    axes.plot(seconds, row["ri_all"], "o", color=colour, markersize=6, label=row["method"])


def _finish(figure: Figure, axes: Axes, path: Path) -> None:
    axes.grid(visible=True, which="major", linewidth=0.3)
    axes.legend(fontsize=8)
    with mpl.rc_context({"svg.hashsalt": SALT}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
