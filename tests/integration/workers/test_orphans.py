"""Folders that no run can publish any more, and those that one still can."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from alteraser import snapshot
from alteraser.snapshot import Snapshot
from ledger import runs
from ledger.database import unit_of_work
from workers.leasing import take_lease
from workers.orphans import destroy_orphans, discard
from workers.pipeline import run_once
from workers.workbench import Workbench

MODEL = "main"
LONG_AGO = 1_000_000_000


@pytest.fixture
def digest(trained: Workbench) -> str:
    (only,) = snapshot.digests(trained.snapshots)
    return only


@pytest.fixture
def child(trained: Workbench, digest: str) -> Snapshot:
    return replace(snapshot.read(trained.snapshots, digest), parent=digest, watermark=9)


def test_a_child_of_the_current_snapshot_may_still_be_published(trained: Workbench, child: Snapshot) -> None:
    written = snapshot.write(trained.snapshots, child)
    assert destroy_orphans(trained) == 0
    assert written in snapshot.digests(trained.snapshots)


def test_a_child_of_a_superseded_parent_is_destroyed(
    trained: Workbench, child: Snapshot, ask: Callable[..., UUID]
) -> None:
    orphan = snapshot.write(trained.snapshots, child)
    ask(user="7")
    run_once(trained, MODEL)
    assert destroy_orphans(trained) == 1
    assert orphan not in snapshot.digests(trained.snapshots)


def test_a_first_training_that_nobody_publishes_is_destroyed_once_its_run_is_over(
    trained: Workbench, child: Snapshot, digest: str
) -> None:
    snapshot.write(trained.snapshots, replace(child, parent=None))
    assert destroy_orphans(trained) == 1
    assert snapshot.digests(trained.snapshots) == {digest}


def test_a_first_training_may_be_published_while_one_is_live(trained: Workbench, child: Snapshot) -> None:
    with unit_of_work(trained.database) as session:
        runs.declare(session, "second", "wmf")
    take_lease(trained, "second", purpose="train")
    snapshot.write(trained.snapshots, replace(child, parent=None))
    assert destroy_orphans(trained) == 0


def test_the_folders_of_another_ledger_are_left_alone(trained: Workbench, child: Snapshot) -> None:
    foreign = snapshot.write(trained.snapshots, replace(child, parent="0" * 64))
    assert destroy_orphans(trained) == 0
    assert foreign in snapshot.digests(trained.snapshots)


def test_a_folder_whose_manifest_is_damaged_is_left_to_a_person(trained: Workbench, child: Snapshot) -> None:
    damaged = snapshot.write(trained.snapshots, child)
    (trained.snapshots / damaged / "manifest.json").write_text("{}")
    assert destroy_orphans(trained) == 0
    assert damaged in snapshot.digests(trained.snapshots)


def test_what_is_published_is_never_discarded(trained: Workbench, digest: str) -> None:
    discard(trained, digest)
    assert digest in snapshot.digests(trained.snapshots)


def test_a_child_of_a_live_run_is_left_alone(trained: Workbench, child: Snapshot) -> None:
    take_lease(trained, MODEL, purpose="train")
    written = snapshot.write(trained.snapshots, child)
    assert destroy_orphans(trained) == 0
    assert written in snapshot.digests(trained.snapshots)


def test_a_folder_half_written_goes_once_no_run_can_be_writing_it(trained: Workbench) -> None:
    abandoned, fresh = (trained.snapshots / f".writing-{name}" for name in ("abandoned", "fresh"))
    for folder in (abandoned, fresh):
        folder.mkdir()
    os.utime(abandoned, (LONG_AGO, LONG_AGO))
    assert destroy_orphans(trained) == 1
    assert not abandoned.exists()
    assert fresh.exists()
