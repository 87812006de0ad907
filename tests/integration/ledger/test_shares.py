"""One request that fails every run it is in comes to be alone, and holds up nobody else for long."""

from __future__ import annotations

import math
from collections.abc import Set
from typing import TYPE_CHECKING
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import runs, sweep
from ledger.database import unit_of_work

if TYPE_CHECKING:
    from ledger.runs import Lease
    from tests.integration.ledger.conftest import Scene

EMPTY = (
    "TRUNCATE receipts, erasures, request_models, snapshots, runs, models, deletion_requests, replicas, interactions "
    "CASCADE"
)
MOST_REQUESTS = 12


def recorded(scene: Scene, n: int) -> list[UUID]:
    """So many people ask to be forgotten, of a model that knows one more."""
    people = [f"user-{number}" for number in range(n)]
    scene.stock((user, "alien") for user in [*people, "stays"])
    scene.train()
    return [scene.record(user) for user in people]


def suspect(scene: Scene, lease: Lease) -> None:
    """Let the run fail on account of what it was asked."""
    with unit_of_work(scene.database) as session:
        runs.fail(session, lease, "it never converges", suspect=True)


def runs_until_alone(scene: Scene, poison: Set[UUID]) -> int:
    """Run until nothing is due; how many runs it took, those of requests found out before not counted."""
    n_runs = 0
    alone: set[UUID] = set()
    while (lease := scene.lease()) is not None:
        taken = set(lease.request_ids)
        n_runs += not taken <= alone
        if not taken & poison:
            scene.publish(lease)
        else:
            suspect(scene, lease)
            alone |= taken if len(taken) == 1 else set()
    return n_runs


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(n=st.integers(1, MOST_REQUESTS), dice=st.data())
def test_every_innocent_request_comes_through_and_every_poison_one_is_alone(
    scene: Scene, n: int, dice: st.DataObject
) -> None:
    scene.sql(EMPTY)
    asked = recorded(scene, n)
    poison = dice.draw(st.sets(st.sampled_from(asked), max_size=3))
    n_runs = runs_until_alone(scene, poison)
    states = {request_id: scene.see(request_id) for request_id in asked}
    assert {request_id for request_id, view in states.items() if view.state == "failed"} == poison
    assert all(states[innocent].state == "unlearned" for innocent in set(asked) - poison)
    assert all(states[bad].failure == "it never converges" for bad in poison)
    assert n_runs <= 1 + 2 * len(poison) * max(1, math.ceil(math.log2(n)))


def test_a_request_that_is_alone_at_fault_is_tried_again_after_a_pause_and_never_dropped(scene: Scene) -> None:
    (bad, other) = recorded(scene, 2)
    runs_until_alone(scene, {bad})
    assert scene.lease() is None
    scene.rest()
    lease = scene.take()
    assert lease.request_ids == (bad,)
    scene.publish(lease)
    assert {scene.see(bad).state, scene.see(other).state} == {"unlearned"}


def test_a_disk_that_was_full_divides_nobody(scene: Scene) -> None:
    asked = recorded(scene, 4)
    scene.fail(scene.take())
    assert scene.lease() is None
    scene.rest()
    assert set(scene.take().request_ids) == set(asked)


def test_a_worker_that_dies_twice_over_the_same_requests_has_them_divided(scene: Scene) -> None:
    recorded(scene, 4)
    for n_taken in (4, 4, 2):
        scene.rest()
        lease = scene.take()
        assert len(lease.request_ids) == n_taken
        scene.let_expire(lease)
        with unit_of_work(scene.database) as session:
            sweep.expire_leases(session)


def test_what_is_asked_meanwhile_waits_for_no_suspect(scene: Scene) -> None:
    asked = recorded(scene, 3)
    suspect(scene, scene.take())
    scene.stock([("late", "alien")])
    late = scene.record("late")
    order = []
    for _ in range(3):
        lease = scene.take()
        order.append(set(lease.request_ids))
        scene.publish(lease)
    assert set().union(*order) == {*asked, late}
    assert {late} in order


def test_a_training_takes_every_share(scene: Scene) -> None:
    asked = recorded(scene, 4)
    suspect(scene, scene.take())
    with unit_of_work(scene.database) as session:
        training = runs.lease(session, "main", "trainer", 30, purpose="train")
    assert training is not None
    assert set(training.request_ids) == set(asked)
