"""`alteraser certify`: from the files alone, and plain about what cannot be proven."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from alteraser import snapshot
from alteraser.deletions import Deletions
from alteraser.eraser import unlearn
from alteraser.errors import SnapshotCorrupt
from alteraser.interactions import Interactions
from alteraser.snapshot import Snapshot
from alteraser.synthetic import synthetic
from alteraser.train import train
from cli.certify import certify, in_words, is_rank_bound, show
from cli.errors import FileUnreadable, NotItsParent

EXACT = 1e-6


@pytest.fixture(scope="module")
def parent() -> Snapshot:
    """A model with more dimensions than its optimum uses."""
    log = synthetic(60, 40, 700, seed=1)
    data = Interactions.from_pairs(log.users.tolist(), log.items.tolist())
    trained = train("wmf", {"d": 24, "reg": 0.05}, data, seed=3)
    return Snapshot(
        kind="wmf",
        hyperparameters=dict(trained.hyperparameters),
        parameters=trained.parameters,
        interactions=data,
        watermark=0,
        parent=None,
        residual=trained.report.residual,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("snapshots")


@pytest.fixture(scope="module")
def before(root: Path, parent: Snapshot) -> Path:
    """The parent's folder."""
    return root / snapshot.write(root, parent)


@pytest.fixture(scope="module")
def after(root: Path, parent: Snapshot, before: Path) -> Path:
    """The folder of a child that has forgotten one user."""
    gone = Deletions(subjects=frozenset({parent.interactions.users.ids[7]}))
    child = unlearn(parent, gone, watermark=1, parent_digest=before.name, tolerance=EXACT).snapshot
    return root / snapshot.write(root, child)


def test_what_is_proven_of_a_child_bounds_the_influence_that_is_left(after: Path, before: Path) -> None:
    proof = certify(after, before)
    left = proof.certificate["influence_bound"]
    assert not is_rank_bound(proof.certificate)
    assert proof.moved is not None
    assert left == pytest.approx((proof.certificate["distance"] / (proof.moved - proof.certificate["distance"])) ** 2)
    assert 0 <= left < 1e-2
    assert f"influence left <= {left:.1e}" in in_words(proof.certificate)


def test_moved_is_how_far_all_kept_scores_went(after: Path, before: Path, parent: Snapshot, root: Path) -> None:
    child = snapshot.read(root, after.name)
    rows = parent.interactions.users.rows(child.interactions.users.ids)
    columns = parent.interactions.items.rows(child.interactions.items.ids)
    was = (parent.parameters.users @ parent.parameters.items.T).numpy()[np.ix_(rows, columns)]
    now = (child.parameters.users @ child.parameters.items.T).numpy()
    assert certify(after, before).moved == pytest.approx(float(np.linalg.norm(now - was)), rel=1e-6)


def test_without_a_parent_nothing_is_said_of_influence(after: Path) -> None:
    proof = certify(after, None)
    assert (proof.moved, proof.certificate["influence_bound"]) == (None, None)
    console = Console(record=True, width=200)
    show(console, proof)
    shown = console.export_text()
    assert "influence" not in shown
    for name in ("snapshot", "rank", "sigma", "gap", "distance", "RMSE/RMS", "seconds"):
        assert f"\n{name} " in f"\n{shown}"


def test_a_model_with_too_few_dimensions_is_said_to_be_rank_bound(root: Path, parent: Snapshot) -> None:
    trained = train("wmf", {"d": 2, "reg": 0.05, "saturate": 0}, parent.interactions, seed=3)
    narrow = replace(parent, hyperparameters=dict(trained.hyperparameters), parameters=trained.parameters)
    proof = certify(root / snapshot.write(root, narrow), None)
    assert is_rank_bound(proof.certificate)
    console = Console(record=True, width=200)
    show(console, proof)
    assert "more dimensions would prove more" in console.export_text()


def test_a_parent_that_lacks_a_row_is_refused(after: Path, before: Path) -> None:
    with pytest.raises(NotItsParent, match="it lacks 1 users or items"):
        certify(before, after)


@pytest.mark.parametrize("folder", ["nothing", "."])
def test_a_path_that_is_no_snapshot_is_refused_by_name(root: Path, folder: str) -> None:
    with pytest.raises(FileUnreadable, match="folder of a snapshot"):
        certify(root / folder, None)


def test_a_damaged_snapshot_is_refused(after: Path, tmp_path: Path) -> None:
    copy = tmp_path / after.name
    copy.mkdir()
    for file in after.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    content = bytearray((copy / snapshot.PARAMETERS).read_bytes())
    content[-1] ^= 1
    (copy / snapshot.PARAMETERS).write_bytes(content)
    with pytest.raises(SnapshotCorrupt):
        certify(copy, None)


def test_the_command_prints_json_that_any_reader_takes(after: Path, before: Path) -> None:
    command = [sys.executable, "-m", "cli", "certify", str(after), "--before", str(before), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    said = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert said["snapshot"] == after.name
    assert said["distance"] == pytest.approx(certify(after, None).certificate["distance"], rel=1e-3)
    assert math.isfinite(said["rmse_ratio"])
    assert said["influence_bound"] < 1e-2


def test_the_command_says_what_is_wrong_in_a_line(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "cli", "certify", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "not the folder of a snapshot" in done.stderr
    assert "Traceback" not in done.stderr
