"""The command end to end on small data: what it writes, and what it refuses in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from alteraser.synthetic import synthetic
from benchmarks import attack
from benchmarks.observations import RETRAINED
from benchmarks.traces import ATTACKERS

SMALL = ["--set", "d=6", "--set", "reg=0.02", "--set", "saturate=0"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "train.csv"
    log = synthetic(120, 40, 1500, seed=0)
    file.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(log.users, log.items, strict=True)))
    return file


def run(*words: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(attack.main)
    result = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"}).invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_an_attack_writes_its_evidence_and_a_picture(data: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "out.json", tmp_path / "out.svg"
    chosen = ("do-nothing", "drop-row", "unlearned")
    words = ["--shadows", "8", "--targets", "2", "--groups", "heavy,canary", "--deletions", "2"]
    words += ["--methods", ",".join(chosen)]
    code, text = run("--data", str(data), *words, *SMALL, "--json", str(out), "--picture", str(picture))
    assert code == 0
    assert "was somebody there who has been forgotten?" in text
    found = json.loads(out.read_text())
    assert {"machine", "commit", "dataset", "model", "seed", "shadows", "rows", "differences"} <= found.keys()
    rows = [(row["group"], row["attacker"], row["method"]) for row in found["rows"]]
    assert rows == [(g, a, m) for g in ("heavy", "canary") for a in ATTACKERS for m in (*chosen, RETRAINED)]
    for row in found["rows"]:
        assert row["members"] == row["others"] == 8
        assert row["caught_low"] <= row["caught"] <= row["caught_high"]
        assert set(row["statistics"].split(", ")) <= set(ATTACKERS[row["attacker"]])
    dropped = next(
        row for row in found["rows"] if (row["attacker"], row["method"]) == ("the whole snapshot", "drop-row")
    )
    assert dropped["caught"] == 1.0
    assert picture.read_text().lstrip().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--groups", "nobody"], "unknown: nobody"),
        (["--groups", ","], "known are"),
        (["--set", "depth=3"], "no hyper-parameter named 'depth'"),
        (["--model", "magic"], "no model kind named 'magic'"),
    ],
)
def test_nonsense_is_refused_in_words(data: Path, words: list[str], said: str) -> None:
    code, text = run("--data", str(data), *words)
    assert code == 2
    assert said in text
