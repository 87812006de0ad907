"""A long run's state survives on disk, and is not taken for that of another run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alteraser import snapshot
from benchmarks.checkpoint import Checkpoint, OtherRun, State
from tests.unit.alteraser.small_model import small_data, small_snapshot

SETTINGS = {"seed": 0, "set": {"d": "6"}}


def test_what_was_saved_last_is_loaded(tmp_path: Path) -> None:
    checkpoint, original = Checkpoint(tmp_path / "run", SETTINGS), small_snapshot(small_data())
    assert checkpoint.load() is None
    checkpoint.save(State(original, original, {"points": []}))
    later = replace(original, watermark=7)
    checkpoint.save(State(original, later, {"points": [{"rmse": 1e-6}]}))
    found = checkpoint.load()
    assert found is not None
    assert found.original.watermark == 0
    assert found.current.watermark == 7
    assert found.current.parameters.users.equal(original.parameters.users)
    assert found.evidence == {"points": [{"rmse": 1e-6}]}


def test_only_the_models_in_use_are_kept(tmp_path: Path) -> None:
    checkpoint, original = Checkpoint(tmp_path, SETTINGS), small_snapshot(small_data())
    for watermark in range(4):
        checkpoint.save(State(original, replace(original, watermark=watermark), {}))
    assert len(snapshot.digests(tmp_path)) == 2


def test_a_run_with_other_settings_is_refused(tmp_path: Path) -> None:
    original = small_snapshot(small_data())
    Checkpoint(tmp_path, SETTINGS).save(State(original, original, {}))
    with pytest.raises(OtherRun):
        Checkpoint(tmp_path, SETTINGS | {"seed": 1}).load()
