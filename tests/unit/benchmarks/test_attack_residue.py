"""What is planted for the search of a deployment, and how its finds are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alteraser.interactions import Interactions
from alteraser.synthetic import synthetic
from benchmarks.canaries import RARE_LEAST
from benchmarks.needles import Find, searched
from benchmarks.residue import N_OWN, N_SHARED, STAGES, Stage, place_of, rows_of, with_canary
from tests.unit.alteraser.small_model import small_snapshot

LOG = synthetic(60, 40, 900, seed=0)
RELATIONS = {"base/5/16384": "interactions", "base/5/16390": "interactions_pkey"}


def test_a_canary_has_items_of_its_own_and_items_that_others_have_met() -> None:
    log, canary = with_canary(LOG, draw=0)
    assert len(log) == len(LOG) + N_OWN + N_SHARED
    counts = dict(zip(*np.unique(log.items.astype(str), return_counts=True), strict=True))
    assert all(counts[item] == 1 for item in canary.own)
    assert min(counts[item] for item in canary.shared) > RARE_LEAST
    assert set(log.items[log.users == canary.user]) == {*canary.own, *canary.shared}


def test_two_canaries_have_no_id_in_common() -> None:
    (_, one), (_, other) = with_canary(LOG, draw=0), with_canary(LOG, draw=0)
    assert not {one.user, *one.own} & {other.user, *other.own}


def test_a_written_snapshot_holds_every_kind_of_needle(tmp_path: Path) -> None:
    from alteraser import snapshot

    log, canary = with_canary(LOG, draw=0)
    model = small_snapshot(Interactions.from_pairs(list(log.users), list(log.items)))
    snapshot.write(tmp_path, model)
    found = {(find.path.name, find.what) for find in searched(tmp_path, canary.needles(model))}
    assert found == {
        ("users.json", "user id"),
        ("items.json", "item id"),
        ("interactions.safetensors", "history"),
        ("parameters.safetensors", "embedding"),
    }


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("postgres/data/base/5/16384", "postgres interactions"),
        ("postgres/data/base/5/16384.1", "postgres interactions"),
        ("postgres/data/base/5/16390_fsm", "postgres interactions_pkey"),
        ("postgres/data/base/5/99", "postgres base"),
        ("postgres/data/pg_wal/000000010000000000000001", "postgres pg_wal"),
        ("postgres/postgres.log", "postgres"),
        ("snapshots/abc/users.json", "snapshots"),
        ("logs/web.log", "logs"),
    ],
)
def test_a_file_is_named_by_the_part_of_the_deployment_it_belongs_to(path: str, place: str) -> None:
    assert place_of(Path(path), RELATIONS) == place


def test_a_row_tells_how_often_something_was_found_at_every_stage() -> None:
    find = Find(Path("postgres/data/base/5/16384"), "user id", "plain", 3)
    again = Find(Path("postgres/data/base/5/16384.1"), "user id", "plain", 2)
    finds = [(find, again), (find,), (), (), ()]
    stages = [Stage(name, found, 0.5, 1, RELATIONS) for name, found in zip(STAGES, finds, strict=True)]
    row, *of_snapshots = rows_of(stages)
    assert row["where"] == "postgres interactions"
    assert [row[name] for name in STAGES] == [5, 3, 0, 0, 0]
    assert [each["what"] for each in of_snapshots] == ["nearest row", "like history"]
