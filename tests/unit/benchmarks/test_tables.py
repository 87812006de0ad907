"""The documentation's tables are made from the evidence, and a page cannot ask for what was not measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tables import FOLDER, PAGE, TABLES, NoEvidence, number, rewritten, spread

MACHINE = {"processor": "x86_64", "cores": 2, "threads": 2, "python": "3.11.0", "torch": "2.13.0"}


def unlearning(seconds: float, influence: float, confirmed: bool = True) -> dict[str, Any]:
    rows = [
        {"method": "do-nothing", "seconds": 0.0, "ri_all": 1.0, "jaccard@10_retrained": 0.98765},
        {"method": "alteraser", "seconds": seconds, "ri_all": influence, "speedup_converged": None},
        {"method": "alteraser-exact", "seconds": 1.0, "ri_all": 1e-12, "jaccard@10_retrained": 1.0},
        {"method": "alternation", "seconds": 10.0, "ri_all": 0.01},
    ]
    floor = {"oracle_confirmed": confirmed, "worst_ri_all": 1e-12, "against_oracle": [{}, {}]}
    return {
        "machine": MACHINE,
        "commit": "abc1234",
        "dataset": {"name": "ml-100k/u.data"},
        "forget": "user=median",
        "rows": rows,
        "seed_floor": floor,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for draw, found in enumerate(
        [unlearning(0.5, 1e-3), unlearning(0.1, 3e-3), unlearning(0.2, 2e-3, confirmed=False)]
    ):
        (tmp_path / f"quick-{draw}.json").write_text(json.dumps(found))
    return tmp_path


def page(kind: str, pattern: str) -> str:
    return f"before\n<!-- measured: {kind} {pattern} -->\nstale\n<!-- /measured -->\nafter\n"


def test_a_table_takes_the_place_of_what_stood_between_the_marks(folder: Path) -> None:
    text = rewritten(page("methods", "quick-0.json"), folder)
    assert "stale" not in text
    assert text.startswith("before\n<!-- measured: methods quick-0.json -->\n")
    assert text.endswith("<!-- /measured -->\nafter\n")
    assert "| `alteraser` | 0.5 | – | – |" in text
    assert "Commit abc1234; 2 cores" in text


def test_writing_twice_changes_nothing(folder: Path) -> None:
    once = rewritten(page("methods", "quick-*.json"), folder)
    assert rewritten(once, folder) == once


def test_draws_are_medians_with_their_spread(folder: Path) -> None:
    text = rewritten(page("methods", "quick-*.json"), folder)
    assert "| `alteraser` | 0.2 (0.1–0.5) | – |" in text
    assert "0.002 (0.001–0.003)" in text
    assert "confirmed by cold retrains for 2 of 3 draws (6 retrains" in text


def test_the_summary_has_a_row_per_kind_of_deletion(folder: Path) -> None:
    text = rewritten(page("summary", "quick-*.json"), folder)
    (row,) = [line for line in text.splitlines() if line.startswith("| ml-100k")]
    assert row == (
        "| ml-100k/u.data | user=median | 3 | 0.2 (0.1–0.5) | 0.002 (0.001–0.003) | – | – | 50 | – "
        "| 1e-12 (1e-12–1e-12) | – | 1.0000 | 0.9877 | 1e-12 | 2 of 3 |"
    )


@pytest.mark.parametrize("kind", ["accuracy", "scaling", "latency", "residue"])
def test_plain_evidence_is_shown_row_by_row(tmp_path: Path, kind: str) -> None:
    rows = [{"interactions": 100_000, "recall@10": 0.16154, "global_seconds": None, "peak_bytes": 2_500_000}]
    evidence = {"machine": MACHINE, "commit": "abc1234", "rows": rows}
    (tmp_path / "one.json").write_text(json.dumps(evidence))
    text = rewritten(page(kind, "one.json"), tmp_path)
    assert "| interactions | recall@10 | global seconds | peak bytes |" in text
    assert "| 100,000 | 0.1615 | – | 2.5 MB |" in text


def test_an_attack_has_a_row_per_group_attacker_and_method(tmp_path: Path) -> None:
    caught = {"statistics": "gain", "auc": 0.5, "caught": 0.0, "interval": "0 to 0.1", "like_retrained": "yes"}
    row = {"group": "canary", "attacker": "parameters", "method": "unlearned", **caught, "members": 30, "others": 34}
    seen = [{"attacker": "scores", "deleted": 1, "auc": 0.97}]
    evidence = {"machine": MACHINE, "commit": "abc1234", "model": "wmf", "rows": [row], "differences": seen}
    (tmp_path / "one.json").write_text(json.dumps(evidence))
    expected = "| `wmf` | canary | parameters | unlearned | gain | 0.5 | 0 | 0 to 0.1 | yes | 30 | 34 |"
    assert expected in rewritten(page("attack", "one.json"), tmp_path)
    assert "| scores | 1 | 0.97 |" in rewritten(page("differences", "one.json"), tmp_path)


def test_what_was_not_measured_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(NoEvidence, match="nothing-here"):
        rewritten(page("methods", "nothing-here.json"), tmp_path)


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (None, 1234, 0.00012345, "text")] == ["–", "1,234", "0.000123", "text"]
    assert spread([None, None], shown=True) == "–"
    assert spread([1.0, None], shown=True) == "1"


def test_the_page_is_what_the_evidence_says() -> None:
    text = PAGE.read_text()
    assert "<!-- measured:" in text
    assert rewritten(text, FOLDER) == text


def test_every_table_is_explained() -> None:
    assert all(table.__doc__ for table in TABLES.values())
