"""The tables and the picture of docs/forgetting.md are made from the evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pictures import error_against_deletions
from benchmarks.tables import AXES, FOLDER, STREAM_COLUMNS, rewritten
from tests.unit.benchmarks.test_tables import MACHINE, page

PAGE = Path("docs/forgetting.md")


def evidence(**found: Any) -> dict[str, Any]:
    return {"machine": MACHINE, "commit": "abc1234", "dataset": {"name": "ml-100k/u.data"}, "model": "wmf", **found}


def stream(*, grows: bool) -> dict[str, Any]:
    point = {**dict.fromkeys(STREAM_COLUMNS, 1e-6), "deletion": 300, "width": 53, "jaccard@10": 1.0}
    cold = {"ri_stream": 1.4e-8, "jaccard@10": 1.0, "nothing_jaccard@10": 0.8364}
    trend = {"factor": 1.2, "factor_low": 0.5, "factor_high": 2.0, "grows": grows}
    return evidence(
        forget="mix",
        deletions=300,
        points=[{"deletion": 1, "failed": "not converged"}, point],
        trends={"rmse": trend},
        worst_ri_last=1.2e-3,
        verdict="no drift trend: none",
        seconds={"median": 0.235, "p95": 0.407},
        cold=cold,
    )


def table(tmp_path: Path, kind: str, found: dict[str, Any]) -> str:
    (tmp_path / "one.json").write_text(json.dumps(found))
    return rewritten(page(kind, "one.json"), tmp_path)


@pytest.mark.parametrize("grows", [True, False])
def test_a_stream_is_summed_up_in_a_row(tmp_path: Path, grows: bool) -> None:
    text = table(tmp_path, "streams", stream(grows=grows))
    assert (
        "| ml-100k/u.data | `wmf` | mix | 300 | 0.235 (0.407) | 1e-06 | 1e-06 | 1.4e-08 | 1e-06 | 1.0000 | 0.8364 "
        f"| × 1.2 (0.5–2) | {'yes' if grows else 'no'} | 0.0012 |"
    ) in text


def test_a_curve_has_its_points_and_its_verdict(tmp_path: Path) -> None:
    text = table(tmp_path, "stream", stream(grows=False))
    assert "| 300 | 1e-06 | 1e-06 | 1e-06 |" in text
    assert "| 53 |" in text
    assert "No drift trend: none." in text
    assert "not converged" not in text


def test_a_stream_without_trend_or_proof_has_dashes(tmp_path: Path) -> None:
    found = stream(grows=False)
    found["trends"]["rmse"] = None
    found["points"][-1]["certified_ri_stream"] = None
    assert "| × – (–––) | – | 0.0012 |" in table(tmp_path, "streams", found)


def test_the_four_axes_have_a_row_per_set_and_method(tmp_path: Path) -> None:
    row = {**dict.fromkeys(AXES, 0.25), "method": "alteraser", "still_served": 0}
    failed = {"method": "retrain-converged", "failed": "newton: residual 1"}
    text = table(tmp_path, "cure4rec", evidence(sets=[{"set": "core", "percentage": 5, "rows": [row, failed]}]))
    assert "| core 5 % | `alteraser` | 0.25 | 0.25 | 0 | 0.2500 | 0.2500 |" in text
    assert "| core 5 % | `retrain-converged` | – | – |" in text


def test_a_band_says_who_is_inside(tmp_path: Path) -> None:
    found = {"low": 0.2394, "high": 0.2394, "do nothing": 0.2409, "do nothing inside": False}
    text = table(tmp_path, "band", evidence(forget="users=9", bands={"recall@10": found}))
    assert "| model | forgotten | statistic | low | high | do nothing | do nothing inside |" in text
    assert "| `wmf` | users=9 | recall@10 | 0.2394 | 0.2394 | 0.2409 | no |" in text


@pytest.mark.parametrize("kind", ["equivalence", "added"])
def test_ways_are_shown_row_by_row(tmp_path: Path, kind: str) -> None:
    rows = [{"way": "one batch", "ri_all": 1e-5, "same_data": True}]
    assert "| one batch | 1e-05 | yes |" in table(tmp_path, kind, evidence(rows=rows, added=rows))


def test_a_curve_without_a_proof_is_drawn_without_one(tmp_path: Path) -> None:
    found, path = stream(grows=False), tmp_path / "curve.svg"
    found["points"][-1]["certified_ri_stream"] = None
    error_against_deletions(found, path)
    assert "proven" not in path.read_text()


def test_the_page_is_what_the_evidence_says() -> None:
    text = PAGE.read_text()
    assert rewritten(text, FOLDER) == text
