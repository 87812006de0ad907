"""The commands end to end on small data: what they write, and what they refuse in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from alteraser.synthetic import synthetic
from benchmarks import accuracy, calibration, scaling, suite, unlearning
from benchmarks.judge import COLUMNS
from benchmarks.tables import rewritten

SMALL = ["--set", "d=6", "--set", "reg=0.02"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training and a test part."""
    folder = tmp_path_factory.mktemp("data")
    log = synthetic(60, 40, 800, seed=0)
    lines = [f"{user},{item}" for user, item in zip(log.users, log.items, strict=True)]
    (folder / "train.csv").write_text("user,item\n" + "\n".join(lines[:700]) + "\n")
    (folder / "test.csv").write_text("user,item\n" + "\n".join(lines[700:]) + "\n")
    return folder


def run(command: object, *words: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command)  # type: ignore[type-var]
    result = CliRunner(env={"COLUMNS": "300", "TERM": "dumb"}).invoke(app, list(words))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_unlearning_writes_the_evidence_and_a_picture(data: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "out.json", tmp_path / "out.svg"
    words = ["--forget", "user=median", "--seeds", "1", "--methods", "do-nothing,alteraser,retrain-practical"]
    code, text = run(
        unlearning.main, "--data", str(data), *words, *SMALL, "--json", str(out), "--picture", str(picture)
    )
    assert code == 0
    assert "oracle confirmed" in text
    found = json.loads(out.read_text())
    assert {"machine", "commit", "dataset", "model", "forget", "rows", "seed_floor"} <= found.keys()
    assert [row["method"] for row in found["rows"]] == ["do-nothing", "alteraser", "retrain-practical"]
    assert all(set(COLUMNS) <= row.keys() for row in found["rows"])
    assert all(0 < row["recall@10"] < 1 for row in found["rows"])
    assert found["rows"][1]["ri_all"] < 0.1
    assert found["forgotten"]["users"] == 1
    assert picture.read_text().lstrip().startswith("<?xml")


def test_the_same_evidence_gives_the_same_picture(data: Path, tmp_path: Path) -> None:
    words = ["--data", str(data), "--forget", "user=median", "--seeds", "1", "--methods", "do-nothing", *SMALL]
    pictures = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for picture in pictures:
        assert run(unlearning.main, *words, "--picture", str(picture))[0] == 0
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--forget", "user=nobody"], "there is no user of that id"),
        (["--forget", "everybody"], "NAME=VALUE"),
        (["--forget", "user=median", "--methods", "magic"], "unknown: magic"),
        (["--forget", "user=median", "--model", "magic"], "no model kind named 'magic'"),
        (["--forget", "user=median", "--set", "depth=3"], "no hyper-parameter named 'depth'"),
        (["--forget", "user=median", "--set", "d"], "is not NAME=VALUE"),
        (["--forget", "user=median", "--set", "d=x"], "must be int"),
    ],
)
def test_nonsense_is_refused_in_words(data: Path, words: list[str], said: str) -> None:
    code, text = run(unlearning.main, "--data", str(data), *SMALL, *words)
    assert code == 2
    assert said in text


def test_data_that_is_not_there_is_refused_in_words() -> None:
    code, text = run(unlearning.main, "--data", "/not/there", "--forget", "user=median")
    assert code == 2
    assert "there is no such file or folder" in text


def test_a_suite_writes_a_file_per_draw_and_a_picture_per_kind(data: Path, tmp_path: Path) -> None:
    words = ["--forget", "user=median", "--forget", "interactions=1%", "--draws", "2", "--seeds", "1"]
    words += ["--methods", "do-nothing"]
    code, _ = run(suite.main, "--data", str(data), "--name", "small", *words, *SMALL, "--folder", str(tmp_path))
    assert code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "small-interactions-1pc-0.json",
        "small-interactions-1pc-1.json",
        "small-interactions-1pc.svg",
        "small-user-median-0.json",
        "small-user-median-1.json",
        "small-user-median.svg",
    ]


def test_accuracy_is_measured_trained_and_after_unlearning(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "accuracy.json"
    code, _ = run(accuracy.main, "--data", str(data), "--seeds", "1", "--users", "3", *SMALL, "--json", str(out))
    assert code == 0
    assert [row["state"] for row in json.loads(out.read_text())["rows"]] == ["trained", "after 3 users unlearned"]


def test_a_smaller_tolerance_leaves_less(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "calibration.json"
    code, _ = run(calibration.main, "--data", str(data), "--draws", "1", *SMALL, "--json", str(out))
    assert code == 0
    text = rewritten("<!-- measured: calibration calibration.json -->\n<!-- /measured -->", tmp_path)
    assert "| median user | " in text
    rows = json.loads(out.read_text())["rows"]
    assert len({row["forgotten"] for row in rows}) == 5
    for what in {row["forgotten"] for row in rows}:
        left = [row["ri_all"] for row in rows if row["forgotten"] == what]
        assert left[-1] < 1e-4
        assert left[-1] < left[0]


def test_accuracy_needs_a_test_part(data: Path) -> None:
    code, text = run(accuracy.main, "--data", str(data / "train.csv").replace("train", "test"))
    assert code == 2
    assert "no test part" in text


@pytest.mark.parametrize("training", ["converged", "swept"])
def test_a_size_is_measured(training: str) -> None:
    row = scaling.row_of(20_000, "wmf", {"d": "8", "reg": "0.02"}, None if training == "converged" else 2, seed=0)
    assert row["interactions"] == 20_000
    assert row["local_seconds"] > 0
    assert row["model_bytes"] == 8 * row["d"] * (row["users"] + row["items"])
    assert row["global_seconds"] is None or row["products"] > 0


def test_a_size_that_is_none_is_refused() -> None:
    code, text = run(scaling.main, "--sizes", "huge")
    assert code == 2
    assert "not a number such as 100k" in text
