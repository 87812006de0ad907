"""Which child is taken, when the first way to one does not do."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from alteraser.deletions import Deletions
from alteraser.eraser import Unlearned, unlearn
from alteraser.errors import NotConverged
from alteraser.model import Watch, silent
from alteraser.snapshot import Snapshot
from ledger.runs import Lease
from workers.attempts import WAYS, Way, by_retraining, by_unlearning, first_to_pass
from workers.errors import NothingPassed
from workers.leasing import Parent
from workers.settings import WorkerSettings
from workers.workbench import Workbench, open_workbench

DIGEST = "0" * 64


@pytest.fixture
def workbench(tmp_path: Path, secrets_dir: Path) -> Workbench:
    """A workbench whose ledger and broker nobody calls."""
    return open_workbench(
        WorkerSettings(
            database_url="postgresql://nowhere/none",
            broker_url="redis://nowhere/0",
            snapshot_dir=tmp_path,
            secrets_dir=secrets_dir,
        )
    )


@pytest.fixture
def lease(deletions: Deletions) -> Lease:
    return Lease(
        run_id=uuid4(),
        model="main",
        purpose="unlearn",
        owner="me",
        parent=DIGEST,
        version=1,
        watermark=5,
        deletions=deletions,
        request_ids=(uuid4(),),
    )


def deaf(_: Workbench, lease: Lease, parent: Parent, watch: Watch) -> Unlearned:
    """A way that deletes nothing of what was asked."""
    return unlearn(parent.snapshot, Deletions(), watermark=lease.watermark, parent_digest=parent.digest, watch=watch)


def weary(*_: object) -> Unlearned:
    """A way that gives up."""
    raise NotConverged("newton", residual=0.5, tolerance=1e-4, steps=3)


def test_unlearning_is_tried_before_retraining() -> None:
    assert tuple(WAYS.values()) == (by_unlearning, by_retraining)


def test_the_first_child_that_passes_is_taken(workbench: Workbench, lease: Lease, parent: Snapshot) -> None:
    child = first_to_pass(WAYS, workbench, lease, Parent(DIGEST, parent), silent)
    assert child.snapshot.watermark == 5
    assert child.snapshot.parent == DIGEST
    assert child.report["algorithm"] == "alteraser"
    assert child.report["refused"] == {}
    assert [gate["gate"] for gate in child.report["gates"] if gate["passed"]] == [
        "converged",
        "absent",
        "finite",
        "accurate",
    ]


def test_a_child_that_does_not_pass_a_gate_is_retrained(
    workbench: Workbench, lease: Lease, parent: Snapshot, deletions: Deletions
) -> None:
    ways = {"deaf": deaf, "retraining": by_retraining}
    child = first_to_pass(ways, workbench, lease, Parent(DIGEST, parent), silent)
    assert child.report["algorithm"] == "retrain"
    assert child.report["refused"] == {"deaf": "absent 1 > 0"}
    assert not deletions.subjects & set(child.snapshot.interactions.users.ids)


def test_a_way_that_does_not_converge_is_followed_by_the_next(
    workbench: Workbench, lease: Lease, parent: Snapshot
) -> None:
    ways: dict[str, Way] = {"weary": weary, "unlearning": by_unlearning}
    child = first_to_pass(ways, workbench, lease, Parent(DIGEST, parent), silent)
    assert "residual 0.5 after 3 steps" in child.report["refused"]["weary"]


def test_where_nothing_passes_the_error_says_what_each_way_was_refused_for(
    workbench: Workbench, lease: Lease, parent: Snapshot
) -> None:
    with pytest.raises(NothingPassed, match=r"weary: newton.*; deaf: absent 1 > 0") as raised:
        first_to_pass({"weary": weary, "deaf": deaf}, workbench, lease, Parent(DIGEST, parent), silent)
    assert list(raised.value.refusals) == ["weary", "deaf"]
