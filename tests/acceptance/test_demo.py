"""`alteraser demo`, as somebody types it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from alteraser.synthetic import synthetic, titles

N_CLAIMS = 19
N_DELETIONS = 3


def demo(data_dir: Path, *arguments: str, tmp_dir: Path) -> subprocess.CompletedProcess[str]:
    """Run it with its temporary folder under `tmp_dir`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ALTERASER_")}
    return subprocess.run(
        [sys.executable, "-m", "cli", "demo", *arguments],
        env=environment | {"ALTERASER_DATA_DIR": str(data_dir), "TMPDIR": str(tmp_dir)},
        capture_output=True,
        text=True,
    )


def test_a_person_three_ratings_and_an_item_are_forgotten(ml_100k: Path, tmp_path: Path) -> None:
    done = demo(ml_100k.parent, tmp_dir=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.findall(r"^    (?:true   )?proven.*: scores within \S+ of a full retraining", done.stdout, re.MULTILINE)
    assert len(said) == N_DELETIONS
    n_claims = N_CLAIMS + done.stdout.count("true   proven")
    assert f"all {n_claims} claims were checked and are true" in done.stdout
    assert "FALSE" not in done.stdout
    struck = re.findall(r"^    (\w+) +\d\d:\d\d:\d\d\.\d{3}", done.stdout, re.MULTILINE)
    assert struck == ["recorded", "suppressed", "unlearned", "completed"] * N_DELETIONS
    assert not list(tmp_path.glob("alteraser-*"))


def test_a_data_folder_without_the_data_is_an_error_and_nothing_is_made_up(tmp_path: Path) -> None:
    done = demo(tmp_path, tmp_dir=tmp_path)
    assert done.returncode == 1
    assert "u.data is missing" in done.stderr
    assert "synthetic" not in done.stdout
    assert "Traceback" not in done.stderr


def test_a_folder_to_keep_must_be_empty(ml_100k: Path, tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    done = demo(ml_100k.parent, "--keep", str(tmp_path), tmp_dir=tmp_path)
    assert done.returncode == 1
    assert "--keep" in done.stderr


def test_a_neural_model_forgets_them_too_and_claims_no_proof(tmp_path: Path) -> None:
    done = demo(_small(tmp_path / "data"), "--model", "neumf", tmp_dir=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("nothing is proven of the scores") == N_DELETIONS
    assert f"all {N_CLAIMS} claims were checked and are true" in done.stdout


def _small(folder: Path) -> Path:
    """A data folder in MovieLens' layout with made-up data, small enough for a neural model to be quick."""
    log = synthetic(120, 80, 2400, seed=3)
    (folder / "ml-100k").mkdir(parents=True)
    pairs = enumerate(zip(log.users, log.items, strict=True))
    lines = (f"{user}\t{item}\t5\t{when}\n" for when, (user, item) in pairs)
    (folder / "ml-100k" / "u.data").write_text("".join(lines), encoding="latin-1")
    named = (f"{item}|{title}|\n" for item, title in titles(80).items())
    (folder / "ml-100k" / "u.item").write_text("".join(named), encoding="latin-1")
    return folder
