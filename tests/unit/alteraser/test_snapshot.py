"""Snapshots on disk: whole, named by their content, verified when read, gone when destroyed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from alteraser import snapshot
from alteraser.deletions import Deletions
from alteraser.errors import (
    SnapshotCorrupt,
    SnapshotInconsistent,
    SnapshotMissing,
    SnapshotNotDestroyed,
    SnapshotUnsupported,
)
from alteraser.interactions import Interactions
from alteraser.manifest import MANIFEST, canonical, sha256
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot

DATA = Interactions.from_pairs(["ann", "ann", "Zoë", "cid"], ["tea", "ale", "五", "tea"])
FILES = {MANIFEST, snapshot.PARAMETERS, snapshot.INTERACTIONS, snapshot.USERS, snapshot.ITEMS}


def _snapshot(data: Interactions = DATA, seed: int = 0, d: int = 4) -> Snapshot:
    generator = torch.Generator().manual_seed(seed)
    users, items = (torch.randn(n, d, dtype=torch.float64, generator=generator) for n in (data.n_users, data.n_items))
    return Snapshot(
        kind="wmf",
        hyperparameters={"d": d, "alpha0": 0.4, "activation": "gelu"},
        parameters=Parameters(users, items, torch.empty(0, dtype=torch.float64)),
        interactions=data,
        watermark=7,
        parent="ab" * 32,
        residual=1.5e-5,
    )


def _with_parameters(users: torch.Tensor, items: torch.Tensor) -> Snapshot:
    shared = torch.empty(0, dtype=torch.float64)
    return replace(_snapshot(), parameters=Parameters(users, items, shared))


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    written = _snapshot()
    found = snapshot.read(tmp_path, snapshot.write(tmp_path, written))
    for name in ("kind", "hyperparameters", "watermark", "parent", "residual"):
        assert getattr(found, name) == getattr(written, name)
    for name in ("users", "items", "shared"):
        assert torch.equal(getattr(found.parameters, name), getattr(written.parameters, name))
        assert getattr(found.parameters, name).dtype == torch.float64
    assert found.interactions.digest() == DATA.digest()


def test_the_same_content_has_the_same_digest_and_is_written_once(tmp_path: Path) -> None:
    first, second = snapshot.write(tmp_path, _snapshot()), snapshot.write(tmp_path, _snapshot())
    elsewhere = snapshot.write(tmp_path / "elsewhere", _snapshot())
    assert first == second == elsewhere
    assert snapshot.digests(tmp_path) == {first}


@pytest.mark.parametrize(
    "other",
    [
        replace(_snapshot(), watermark=8),
        replace(_snapshot(), parent=None),
        replace(_snapshot(), residual=1.6e-5),
        replace(_snapshot(), kind="neumf"),
        replace(_snapshot(), hyperparameters={}),
        _snapshot(seed=1),
        _snapshot(DATA.without(Deletions(pairs=frozenset({("ann", "tea")})))),
    ],
)
def test_other_content_has_another_digest(tmp_path: Path, other: Snapshot) -> None:
    assert snapshot.write(tmp_path, other) != snapshot.write(tmp_path, _snapshot())
    assert len(snapshot.digests(tmp_path)) == 2


def test_a_snapshot_is_five_files_and_its_name_the_sha256_of_the_manifest(tmp_path: Path) -> None:
    digest = snapshot.write(tmp_path, _snapshot())
    assert {path.name for path in (tmp_path / digest).iterdir()} == FILES
    assert sha256((tmp_path / digest / MANIFEST).read_bytes()) == digest


def test_the_manifest_tells_sizes_and_digests(tmp_path: Path) -> None:
    digest = snapshot.write(tmp_path, _snapshot())
    found = snapshot.manifest(tmp_path, digest)
    assert (found.n_users, found.n_items, found.n_interactions) == (3, 3, 4)
    assert found.interactions == DATA.digest()
    assert set(found.files) == FILES - {MANIFEST}
    for name, facts in found.files.items():
        content = (tmp_path / digest / name).read_bytes()
        assert facts == {"sha256": sha256(content), "size_bytes": len(content)}


def test_an_empty_matrix_can_be_written(tmp_path: Path) -> None:
    nobody = DATA.without(Deletions(subjects=frozenset(DATA.users.ids)))
    assert snapshot.read(tmp_path, snapshot.write(tmp_path, _snapshot(nobody))).interactions.n_users == 0


def test_blocks_that_are_views_of_one_vector_can_be_written(tmp_path: Path) -> None:
    flat = torch.arange(24, dtype=torch.float64, requires_grad=True)
    users, items = flat[:12].view(3, 4), flat[12:].view(4, 3).T
    found = snapshot.read(tmp_path, snapshot.write(tmp_path, _with_parameters(users, items)))
    assert torch.equal(found.parameters.users, users)
    assert torch.equal(found.parameters.items, items)


@pytest.mark.parametrize(
    ("users", "items", "reason"),
    [
        (torch.zeros(3, 4), torch.zeros(3, 4), "float64"),
        (torch.zeros(2, 4).double(), torch.zeros(3, 4).double(), "2 user rows and 3 item rows for 3 users"),
        (torch.zeros(3).double(), torch.zeros(3, 4).double(), "matrices"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(users: torch.Tensor, items: torch.Tensor, reason: str) -> None:
    with pytest.raises(SnapshotInconsistent, match=reason):
        _with_parameters(users, items)


def test_a_residual_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        snapshot.write(tmp_path, replace(_snapshot(), residual=float("nan")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("digest", ["0" * 64, "..", "", "../../etc", "A" * 64])
def test_a_snapshot_that_is_not_there_is_missing(tmp_path: Path, digest: str) -> None:
    with pytest.raises(SnapshotMissing):
        snapshot.read(tmp_path, digest)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_that_is_gone_is_told(tmp_path: Path, name: str) -> None:
    digest = snapshot.write(tmp_path, _snapshot())
    (tmp_path / digest / name).unlink()
    with pytest.raises(SnapshotCorrupt) as damage:
        snapshot.read(tmp_path, digest)
    assert (damage.value.digest, damage.value.file) == (digest, name)


def test_writing_over_a_damaged_snapshot_is_refused(tmp_path: Path) -> None:
    digest = snapshot.write(tmp_path, _snapshot())
    (tmp_path / digest / snapshot.USERS).write_bytes(b"[]")
    with pytest.raises(SnapshotCorrupt):
        snapshot.write(tmp_path, _snapshot())


def test_another_format_is_refused(tmp_path: Path) -> None:
    digest = snapshot.write(tmp_path, _snapshot())
    newer = canonical(json.loads((tmp_path / digest / MANIFEST).read_bytes()) | {"format": 2})
    (tmp_path / digest).rename(tmp_path / sha256(newer))
    (tmp_path / sha256(newer) / MANIFEST).write_bytes(newer)
    with pytest.raises(SnapshotUnsupported) as refusal:
        snapshot.read(tmp_path, sha256(newer))
    assert (refusal.value.found, refusal.value.supported) == (2, 1)


def test_a_destroyed_snapshot_is_gone_and_the_others_stay(tmp_path: Path) -> None:
    digest, other = snapshot.write(tmp_path, _snapshot()), snapshot.write(tmp_path, _snapshot(seed=1))
    snapshot.destroy(tmp_path, digest)
    assert [path.name for path in tmp_path.iterdir()] == [other]
    with pytest.raises(SnapshotMissing):
        snapshot.read(tmp_path, digest)


def test_destroying_twice_is_no_error(tmp_path: Path) -> None:
    digest = snapshot.write(tmp_path, _snapshot())
    snapshot.destroy(tmp_path, digest)
    snapshot.destroy(tmp_path, digest)
    snapshot.destroy(tmp_path / "no such root", digest)


def test_a_snapshot_that_cannot_be_destroyed_is_told(tmp_path: Path) -> None:
    digest = snapshot.write(tmp_path, _snapshot())
    (tmp_path / f".destroyed-{digest}").write_bytes(b"in the way")
    with pytest.raises(SnapshotNotDestroyed):
        snapshot.destroy(tmp_path, digest)


@pytest.mark.parametrize("name", ["..", ".", "", "kept"])
def test_nothing_but_a_digest_can_be_destroyed(tmp_path: Path, name: str) -> None:
    (tmp_path / "kept").mkdir()
    with pytest.raises(SnapshotMissing):
        snapshot.destroy(tmp_path, name)
    assert (tmp_path / "kept").is_dir()


def test_a_destroyed_snapshot_can_be_written_again(tmp_path: Path) -> None:
    digest = snapshot.write(tmp_path, _snapshot())
    snapshot.destroy(tmp_path, digest)
    assert snapshot.write(tmp_path, _snapshot()) == digest
    snapshot.destroy(tmp_path, digest)
    assert list(tmp_path.iterdir()) == []


def test_folders_being_written_or_destroyed_are_no_snapshots(tmp_path: Path) -> None:
    (tmp_path / ".writing-1").mkdir()
    (tmp_path / f".destroyed-{'0' * 64}").mkdir()
    assert snapshot.digests(tmp_path) == set()
    assert snapshot.sweep_temporary(tmp_path, untouched_s=-60) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_missing_root_holds_no_snapshots(tmp_path: Path) -> None:
    assert snapshot.digests(tmp_path / "none") == set()
