"""The tables of the documentation, written from the evidence.

    python -m benchmarks.tables

Rewrites what stands between ``<!-- measured: KIND PATTERN -->`` and ``<!-- /measured -->`` in a page. KIND is a key of
`TABLES`, PATTERN names JSON files in the folder of evidence; several of one deletion are draws: the table then has
medians, with the least and the largest in brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

Evidence = Mapping[str, Any]
Row = Mapping[str, Any]

PAGE = Path("docs/benchmarks.md")
FOLDER = Path("docs/measurements")
MARKED = re.compile(r"(<!-- measured: (\w+) (\S+) -->\n).*?(<!-- /measured -->)", re.DOTALL)

NOTHING = "–"

METHOD_COLUMNS = {
    "seconds": "seconds",
    "seconds_to_enough": "to RI 1e-2",
    "data_passes": "passes",
    "ri_affected": "RI affected",
    "ri_all": "RI all",
    "relative_gradient": "gradient",
    "objective_gap": "gap",
    "certified_rmse_ratio": "proven RMSE/RMS",
    "certified_ri_all": "proven RI all",
    "jaccard@10_retrained": "Jaccard@10",
    "rbo@10_retrained": "RBO@10",
    "recall@10": "Recall@10",
    "ndcg@10": "NDCG@10",
    "speedup_converged": "× converged",
    "speedup_practical": "× practical",
}
WITH_SPREAD = ("seconds", "ri_all")
SHARES = re.compile(r"^(nothing_)?(jaccard|rbo|recall|ndcg)@")


STREAM_COLUMNS = {
    "deletion": "deletions",
    "rmse": "RMSE",
    "nothing_rmse": "nothing: RMSE",
    "ri_last": "RI of the last",
    "ri_stream": "RI of all",
    "certified_ri_stream": "proven RI of all",
    "objective_gap": "gap",
    "gradient": "gradient",
    "jaccard@10": "Jaccard@10",
    "nothing_jaccard@10": "nothing: Jaccard@10",
    "width": "width",
}
STREAM_SUMMARY = [
    "data",
    "model",
    "each forgets",
    "deletions",
    "seconds each (p95)",
    "at the end: RMSE",
    "nothing: RMSE",
    "RI of all, against a retrain",
    "proven RI of all",
    "Jaccard@10",
    "nothing: Jaccard@10",
    "error over the stream (95 %)",
    "grows",
    "worst RI of one",
]
ATTACK_COLUMNS = {
    "group": "group",
    "attacker": "attacker holds",
    "method": "method",
    "statistics": "statistic",
    "auc": "AUC",
    "caught": "TPR at 1 % FPR",
    "interval": "95 % interval",
    "like_retrained": "like retrained",
    "members": "members",
    "others": "others",
}
AXES = {
    "ri_all": "RI all",
    "certified_ri_all": "proven RI all",
    "still_served": "still served",
    "jaccard@10_retrained": "Jaccard@10",
    "recall@20": "Recall@20",
    "ndcg@20": "NDCG@20",
    "ndcg@20_active": "NDCG@20 active",
    "ndcg@20_inactive": "NDCG@20 others",
    "unfairness": "apart",
    "seconds": "seconds",
    "speedup": "× retrain",
}


class NoEvidence(Exception):
    """A page asks for evidence that is not there.

    Attributes:
        pattern: The files it asks for.
    """

    def __init__(self, pattern: str) -> None:
        super().__init__(f"no evidence is named {pattern}: measure first, or take the table out of the page")
        self.pattern = pattern


def main(
    page: Annotated[Path, typer.Option(help="The page to rewrite.")] = PAGE,
    folder: Annotated[Path, typer.Option(help="Where the evidence is.")] = FOLDER,
) -> None:
    """Write the tables of a page anew."""
    page.write_text(rewritten(page.read_text(), folder))


def rewritten(text: str, folder: Path) -> str:
    """Return the page with every marked table made from the evidence.

    Raises:
        NoEvidence: A pattern matches no file.
    """

    def table(mark: re.Match[str]) -> str:
        opening, kind, pattern, closing = mark.groups()
        return f"{opening}\n{TABLES[kind](evidence(folder, pattern))}\n\n{closing}"

    return MARKED.sub(table, text)


def evidence(folder: Path, pattern: str) -> list[Evidence]:
    """Read the evidence of that pattern, in the order of the files' names.

    Raises:
        NoEvidence: There is none.
    """
    files = sorted(folder.glob(pattern))
    if not files:
        raise NoEvidence(pattern)
    return [json.loads(file.read_text()) for file in files]


def methods(runs: Sequence[Evidence]) -> str:
    """A row per method: medians over the draws of one kind of deletion."""
    names = [row["method"] for row in runs[0]["rows"]]
    rows = [[f"`{name}`", *_method_cells([_row(run, name) for run in runs])] for name in names]
    return "\n\n".join([_table(["method", *METHOD_COLUMNS.values()], rows), _confirmed(runs), _made_by(runs)])


def summary(runs: Sequence[Evidence]) -> str:
    """A row per data and kind of deletion: how exact, against doing nothing, and how fast."""
    groups: dict[tuple[str, str], list[Evidence]] = {}
    for run in runs:
        groups.setdefault((run["dataset"]["name"], run["forget"]), []).append(run)
    headings = [
        "data",
        "forgotten",
        "draws",
        "seconds",
        "RI all",
        "seconds to RI 1e-2",
        "× converged",
        "× alternation",
        "proven RI all",
        "exact: RI all",
        "exact: proven RMSE/RMS",
        "exact: Jaccard@10",
        "nothing: Jaccard@10",
        "farthest retrain: RI all",
        "confirmed",
    ]
    rows = [[name, forget, str(len(group)), *_summary_cells(group)] for (name, forget), group in groups.items()]
    return "\n\n".join([_table(headings, rows), _made_by(runs)])


def accuracy(runs: Sequence[Evidence]) -> str:
    """A row per seed and state."""
    return _plain(runs)


def scaling(runs: Sequence[Evidence]) -> str:
    """A row per size."""
    return _plain(runs)


def latency(runs: Sequence[Evidence]) -> str:
    """A row per clock."""
    return _plain(runs)


def calibration(runs: Sequence[Evidence]) -> str:
    """A row per deletion, a column per tolerance: the influence that is left, and the seconds."""
    parts = []
    for run in runs:
        tolerances = sorted({row["tolerance"] for row in run["rows"]}, reverse=True)
        found = {(row["forgotten"], row["tolerance"]): row for row in run["rows"]}
        names = dict.fromkeys(name for name, _ in found)
        cells = [[name, *(_calibrated(found[name, tolerance]) for tolerance in tolerances)] for name in names]
        parts.append(_table([f"RI all (seconds) at tolerance of `{run['model']}`", *map(number, tolerances)], cells))
    return "\n\n".join([*parts, _made_by(runs)])


def stream(runs: Sequence[Evidence]) -> str:
    """A row per point of the drift curve, and what the curve amounts to."""
    parts = []
    for run in runs:
        points = [point for point in run["points"] if "failed" not in point]
        cells = [[_plain_cell(key, point[key]) for key in STREAM_COLUMNS] for point in points]
        parts += [_table(list(STREAM_COLUMNS.values()), cells), f"{run['verdict'].capitalize()}."]
    return "\n\n".join([*parts, _made_by(runs)])


def streams(runs: Sequence[Evidence]) -> str:
    """A row per stream: what it cost, where it ended, and whether its error grows."""
    rows = [[run["dataset"]["name"], f"`{run['model']}`", run["forget"], *_stream_cells(run)] for run in runs]
    return "\n\n".join([_table(STREAM_SUMMARY, rows), _made_by(runs)])


def equivalence(runs: Sequence[Evidence]) -> str:
    """A row per way to the same data, of every run."""
    return _plain(runs)


def added(runs: Sequence[Evidence]) -> str:
    """A row per way to add users and to delete them again."""
    return _plain([{**run, "rows": run["added"]} for run in runs])


def cure4rec(runs: Sequence[Evidence]) -> str:
    """A row per deletion set and method, on the four axes."""
    rows = [
        [f"{each['set']} {each['percentage']} %", f"`{row['method']}`", *_axes_cells(row)]
        for run in runs
        for each in run["sets"]
        for row in each["rows"]
    ]
    return "\n\n".join([_table(["forgotten", "method", *AXES.values()], rows), _made_by(runs)])


def band(runs: Sequence[Evidence]) -> str:
    """A row per statistic: the band of the retrains and who lies in it."""
    rows = [
        [f"`{run['model']}`", run["forget"], name, *(_band_cell(name, each) for each in found.values())]
        for run in runs
        for name, found in run["bands"].items()
    ]
    headings = ["model", "forgotten", "statistic", *next(iter(runs[0]["bands"].values()))]
    return "\n\n".join([_table(headings, rows), _made_by(runs)])


def attack(runs: Sequence[Evidence]) -> str:
    """A row per group, attacker and method: who is told from those who were never there."""
    rows = [[f"`{run['model']}`", *(number(row[key]) for key in ATTACK_COLUMNS)] for run in runs for row in run["rows"]]
    return "\n\n".join([_table(["model", *ATTACK_COLUMNS.values()], rows), _made_by(runs)])


def differences(runs: Sequence[Evidence]) -> str:
    """A row per attacker who compares the model before with the one after."""
    return _plain([{**run, "rows": run["differences"]} for run in runs])


def residue(runs: Sequence[Evidence]) -> str:
    """A row per place, thing and encoding: how often it was found at each stage."""
    return _plain(runs)


TABLES: Mapping[str, Callable[[Sequence[Evidence]], str]] = {
    "methods": methods,
    "summary": summary,
    "accuracy": accuracy,
    "scaling": scaling,
    "latency": latency,
    "calibration": calibration,
    "stream": stream,
    "streams": streams,
    "equivalence": equivalence,
    "added": added,
    "cure4rec": cure4rec,
    "band": band,
    "attack": attack,
    "differences": differences,
    "residue": residue,
}


def number(value: Any) -> str:
    """Return a value as it stands in a table: three significant digits, yes or no, a dash for None."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def spread(values: Iterable[float | None], *, shown: bool) -> str:
    """Return the median of what is there, with least and largest where asked for and more than one."""
    known = [value for value in values if value is not None]
    if not known:
        return NOTHING
    middle = number(float(median(known)))
    return f"{middle} ({number(min(known))}–{number(max(known))})" if shown and len(known) > 1 else middle


def _method_cells(rows: Sequence[Row]) -> list[str]:
    return [_cell(rows, key) for key in METHOD_COLUMNS]


def _cell(rows: Sequence[Row], key: str) -> str:
    values = [row.get(key) for row in rows]
    if SHARES.match(key):
        known = [value for value in values if value is not None]
        return f"{median(known):.4f}" if known else NOTHING
    return spread(values, shown=key in WITH_SPREAD)


def _summary_cells(runs: Sequence[Evidence]) -> list[str]:
    quick, exact, nothing = (
        [_row(run, name) for run in runs] for name in ("alteraser", "alteraser-exact", "do-nothing")
    )
    against_alternation = [
        _ratio(_row(run, "alternation").get("seconds"), row.get("seconds"))
        for run, row in zip(runs, quick, strict=True)
    ]
    confirmed = sum(run["seed_floor"]["oracle_confirmed"] for run in runs)
    return [
        _cell(quick, "seconds"),
        _cell(quick, "ri_all"),
        _cell(quick, "seconds_to_enough"),
        _cell(quick, "speedup_converged"),
        spread(against_alternation, shown=False),
        _cell(quick, "certified_ri_all"),
        _cell(exact, "ri_all"),
        _cell(exact, "certified_rmse_ratio"),
        _cell(exact, "jaccard@10_retrained"),
        _cell(nothing, "jaccard@10_retrained"),
        spread([run["seed_floor"]["worst_ri_all"] for run in runs], shown=False),
        f"{confirmed} of {len(runs)}",
    ]


def _stream_cells(run: Evidence) -> list[str]:
    end, cold, trend = run["points"][-1], run["cold"], run["trends"].get("rmse") or {}
    factors = [number(trend.get(key)) for key in ("factor", "factor_low", "factor_high")]
    return [
        number(run["deletions"]),
        f"{number(run['seconds']['median'])} ({number(run['seconds']['p95'])})",
        *(_plain_cell(key, end.get(key)) for key in ("rmse", "nothing_rmse")),
        number(cold.get("ri_stream")),
        number(end.get("certified_ri_stream")),
        *(_plain_cell(key, cold.get(key)) for key in ("jaccard@10", "nothing_jaccard@10")),
        "× {} ({}–{})".format(*factors),
        number(trend.get("grows")),
        number(run["worst_ri_last"]),
    ]


def _axes_cells(row: Row) -> list[str]:
    return [_plain_cell(key, row.get(key)) for key in AXES]


def _band_cell(statistic: str, value: Any) -> str:
    return number(value) if isinstance(value, bool) else _plain_cell(statistic, value)


def _row(run: Evidence, method: str) -> Row:
    return next((row for row in run["rows"] if row["method"] == method), {})


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _confirmed(runs: Sequence[Evidence]) -> str:
    floors = [run["seed_floor"] for run in runs]
    confirmed, retrains = sum(f["oracle_confirmed"] for f in floors), sum(len(f["against_oracle"]) for f in floors)
    worst = spread([floor["worst_ri_all"] for floor in floors], shown=False)
    return (
        f"Oracle confirmed by cold retrains for {confirmed} of {len(runs)} draws ({retrains} retrains in all; the "
        f"farthest of a draw leaves RI all {worst} against it)."
    )


def _plain(runs: Sequence[Evidence]) -> str:
    rows = [row for run in runs for row in run["rows"]]
    cells = [[_plain_cell(name, row[name]) for name in rows[0]] for row in rows]
    return "\n\n".join([_table([name.replace("_", " ") for name in rows[0]], cells), _made_by(runs)])


def _plain_cell(name: str, value: Any) -> str:
    if SHARES.match(name) and value is not None:
        return f"{value:.4f}"
    return f"{value / 1e6:.1f} MB" if name.endswith("_bytes") else number(value)


def _calibrated(row: Row) -> str:
    return f"{number(row['ri_all'])} ({number(row['seconds'])})"


def _made_by(runs: Sequence[Evidence]) -> str:
    machine, commits = runs[0]["machine"], sorted({run["commit"] for run in runs})
    return (
        f"Commit {', '.join(commits)}; {machine['cores']} cores ({machine['processor']}), "
        f"{machine['threads']} threads; Python {machine['python']}, torch {machine['torch']}."
    )


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    typer.run(main)
