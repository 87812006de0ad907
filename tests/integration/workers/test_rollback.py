"""Going back to an earlier generation: for a while, and never past an erasure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
import torch

from alteraser import snapshot
from alteraser.errors import SnapshotCorrupt
from alteraser.snapshot import PARAMETERS, Snapshot
from ledger import replicas, requests, rollbacks
from ledger.database import unit_of_work
from ledger.errors import NothingToReturnTo, UnknownModel
from ledger.replicas import Pointer
from workers.certificates import certify_published
from workers.completion import complete_ready
from workers.errors import ModelBusy
from workers.leasing import take_lease
from workers.pipeline import run_once
from workers.rollback import roll_back
from workers.training import train_once
from workers.workbench import Workbench

MODEL = "main"
USER = "7"


@pytest.fixture
def retrained(trained: Workbench) -> Workbench:
    """A model trained twice, of whose two generations nobody asked to be forgotten."""
    train_once(trained, MODEL, given={"d": 3}, seed=1)
    return trained


def pointer(workbench: Workbench) -> Pointer:
    with unit_of_work(workbench.database) as session:
        return replicas.current(session, MODEL)


def served(workbench: Workbench) -> Snapshot:
    digest = pointer(workbench).digest
    assert digest is not None
    return snapshot.read(workbench.snapshots, digest)


def returnable(workbench: Workbench) -> list[int]:
    with unit_of_work(workbench.database) as session:
        return [generation.version for generation in rollbacks.returnable(session, MODEL)]


def test_an_earlier_generation_is_published_again_and_the_watermark_does_not_fall(trained: Workbench) -> None:
    first = served(trained)
    train_once(trained, MODEL, given={"d": 3}, seed=1)
    before, second = pointer(trained), served(trained)
    digest = roll_back(trained, MODEL)
    after, again = pointer(trained), served(trained)
    assert (after.digest, after.version) == (digest, before.version + 1)
    assert again.watermark == after.watermark >= before.watermark
    assert again.parent == before.digest
    assert torch.equal(again.parameters.users, first.parameters.users)
    assert not torch.equal(first.parameters.users[:, :1], second.parameters.users[:, :1])
    roll_back(trained, MODEL, before.version)
    assert torch.equal(served(trained).parameters.users, second.parameters.users)


def test_deletions_go_on_from_what_was_returned_to(
    retrained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    roll_back(retrained, MODEL)
    request_id = ask(user=USER)
    run_once(retrained, MODEL)
    swap()
    certify_published(retrained)
    assert complete_ready(retrained) == 1
    with unit_of_work(retrained.database) as session:
        assert requests.get(session, "acme", request_id).state == "completed"
    assert USER not in served(retrained).interactions.users
    assert snapshot.digests(retrained.snapshots) == {pointer(retrained).digest}


def test_from_the_moment_a_deletion_is_recorded_no_generation_with_its_data_comes_back(
    retrained: Workbench, ask: Callable[..., UUID]
) -> None:
    assert returnable(retrained) == [1]
    request_id = ask(user=USER)
    for _ in range(2):  # before it is unlearned, and after
        assert returnable(retrained) == []
        with pytest.raises(NothingToReturnTo):
            roll_back(retrained, MODEL, 1)
        run_once(retrained, MODEL)
    train_once(retrained, MODEL, given={"d": 3})
    assert returnable(retrained) == [3]
    roll_back(retrained, MODEL, 3)
    assert USER not in served(retrained).interactions.users
    with unit_of_work(retrained.database) as session:
        assert requests.get(session, "acme", request_id).state == "unlearned"


def test_a_deletion_that_was_cancelled_stands_in_no_ones_way(retrained: Workbench, ask: Callable[..., UUID]) -> None:
    request_id = ask(user=USER)
    with unit_of_work(retrained.database) as session:
        requests.cancel(session, "acme", request_id)
    assert returnable(retrained) == [1]
    roll_back(retrained, MODEL)


def test_a_generation_is_kept_for_the_grace_and_no_longer(retrained: Workbench) -> None:
    complete_ready(retrained)
    assert len(snapshot.digests(retrained.snapshots)) == 2
    hasty = replace(retrained, settings=retrained.settings.model_copy(update={"worker_rollback_grace_s": 0.0}))
    complete_ready(hasty)
    assert snapshot.digests(retrained.snapshots) == {pointer(retrained).digest}
    with pytest.raises(NothingToReturnTo):
        roll_back(retrained, MODEL)


def test_the_grace_never_outlives_an_erasure(
    retrained: Workbench, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    ask(user=USER)
    run_once(retrained, MODEL)
    swap()
    certify_published(retrained)
    assert complete_ready(retrained) == 1
    assert snapshot.digests(retrained.snapshots) == {pointer(retrained).digest}


def test_nobody_goes_back_while_a_run_is_live(retrained: Workbench, ask: Callable[..., UUID]) -> None:
    ask(user=USER)
    assert take_lease(retrained, MODEL) is not None
    with pytest.raises(ModelBusy):
        roll_back(retrained, MODEL)


def test_a_model_nobody_declared_is_unknown(trained: Workbench) -> None:
    with pytest.raises(UnknownModel):
        roll_back(trained, "another")
    with pytest.raises(NothingToReturnTo):
        roll_back(trained, MODEL)


def test_a_damaged_generation_does_not_come_back_and_the_run_is_over(
    retrained: Workbench, ask: Callable[..., UUID]
) -> None:
    with unit_of_work(retrained.database) as session:
        damaged = retrained.snapshots / rollbacks.chosen(session, MODEL, None).digest / PARAMETERS
    damaged.chmod(0o600)
    damaged.write_bytes(b"damaged")
    before = pointer(retrained)
    with pytest.raises(SnapshotCorrupt):
        roll_back(retrained, MODEL)
    assert pointer(retrained) == before
    ask(user=USER)
    assert run_once(retrained, MODEL) is not None
