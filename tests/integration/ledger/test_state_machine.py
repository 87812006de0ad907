"""Any order of moves leaves the ledger where a few lines of plain Python say it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ledger import certificates, sweep
from ledger.database import unit_of_work
from ledger.errors import LeaseLost, NotCancellable, UnknownSubject
from ledger.runs import Lease

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

PEOPLE = ("anna", "bert", "carla", "dora")
EMPTY = (
    "TRUNCATE receipts, erasures, request_models, snapshots, runs, models, deletion_requests, replicas, interactions "
    "CASCADE"
)
EXAMPLES = settings(
    max_examples=8,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Moves(RuleBasedStateMachine):
    """One model, one replica, one worker at a time; beside the database, what should be in it."""

    scene: ClassVar[Scene]

    def __init__(self) -> None:
        super().__init__()
        self.present = set(PEOPLE)
        self.who: dict[UUID, str] = {}
        self.state: dict[UUID, str] = {}
        self.unswapped: set[UUID] = set()
        self.unsuppressed: set[UUID] = set()
        self.uncertified: set[UUID] = set()
        self.live: Lease | None = None
        self.lost: Lease | None = None
        self.watermark = 0

    @initialize()
    def begin(self) -> None:
        self.scene.sql(EMPTY)
        self.scene.stock((user, "alien") for user in PEOPLE)
        self.scene.acknowledge(self.scene.train())

    def of_state(self, *states: str) -> set[UUID]:
        return {request_id for request_id, state in self.state.items() if state in states}

    def move(self, request_ids: set[UUID], state: str) -> None:
        self.state.update(dict.fromkeys(request_ids, state))

    @rule(user=st.sampled_from(PEOPLE))
    def record(self, user: str) -> None:
        if user not in self.present:
            with pytest.raises(UnknownSubject):
                self.scene.record(user)
            return
        request_id = self.scene.record(user)
        self.who[request_id] = user
        self.state[request_id] = "pending"
        self.unsuppressed.add(request_id)

    @precondition(lambda self: self.state)
    @rule(dice=st.data())
    def cancel(self, dice: st.DataObject) -> None:
        request_id = dice.draw(st.sampled_from(sorted(self.state)))
        if self.state[request_id] != "pending":
            with pytest.raises(NotCancellable):
                self.scene.cancel(request_id)
            return
        self.scene.cancel(request_id)
        self.state[request_id] = "cancelled"

    @rule()
    def lease(self) -> None:
        self.scene.rest()
        due = self.of_state("pending", "failed")
        lease = self.scene.lease()
        if self.live is not None or not due:
            assert lease is None
            return
        assert lease is not None
        assert set(lease.request_ids) == due
        assert lease.deletions.subjects == {self.who[request_id] for request_id in due}
        self.move(due, "in_progress")
        self.live = lease

    @precondition(lambda self: self.live is not None)
    @rule()
    def publish(self) -> None:
        assert self.live is not None
        self.scene.publish(self.live, certified=False)
        taken = set(self.live.request_ids)
        self.uncertified |= taken
        self.move(taken, "unlearned")
        self.unswapped |= taken
        self.present -= self.live.deletions.subjects
        self.live = None

    @precondition(lambda self: self.live is not None)
    @rule()
    def fail(self) -> None:
        assert self.live is not None
        self.scene.fail(self.live)
        self.move(set(self.live.request_ids), "failed")
        self.live = None

    @precondition(lambda self: self.live is not None)
    @rule()
    def fall_silent(self) -> None:
        assert self.live is not None
        self.scene.let_expire(self.live)
        with unit_of_work(self.scene.database) as session:
            assert sweep.expire_leases(session) == [self.live.run_id]
        self.move(set(self.live.request_ids), "pending")
        self.live, self.lost = None, self.live

    @precondition(lambda self: self.lost is not None)
    @rule()
    def come_back_too_late(self) -> None:
        assert self.lost is not None
        for move in (self.scene.publish, self.scene.fail):
            with pytest.raises(LeaseLost):
                move(self.lost)

    @rule()
    def swap(self) -> None:
        self.scene.acknowledge(self.scene.ask("SELECT current FROM models"))
        self.unswapped.clear()
        self.unsuppressed.clear()

    @precondition(lambda self: self.uncertified)
    @rule()
    def certify(self) -> None:
        while (taken := self.scene.take_certificate()) is not None:
            with unit_of_work(self.scene.database) as session:
                certificates.record(session, taken, {"sigma": 1.0})
        self.uncertified.clear()

    @rule()
    def complete(self) -> None:
        ready = self.of_state("unlearned") - self.unswapped - self.unsuppressed - self.uncertified
        assert set(self.scene.completable()) == ready
        self.scene.destroy()
        for request_id in ready:
            self.scene.complete(request_id)
        self.move(ready, "completed")

    @invariant()
    def every_request_is_in_its_state(self) -> None:
        assert {request_id: self.scene.see(request_id).state for request_id in self.state} == self.state

    @invariant()
    def exactly_the_open_are_suppressed(self) -> None:
        still = self.of_state("pending", "in_progress", "failed", "unlearned")
        assert self.scene.suppressed() == {self.scene.pseudonyms.user(self.who[id]) for id in still}

    @invariant()
    def exactly_the_erased_have_no_rows(self) -> None:
        assert {user for user in PEOPLE if self.scene.count(user)} == self.present

    @invariant()
    def every_completed_request_has_its_receipt(self) -> None:
        assert self.scene.ask("SELECT count(*) FROM receipts") == len(self.of_state("completed"))

    @invariant()
    def the_watermark_never_falls(self) -> None:
        watermark = self.scene.ask("SELECT max(watermark) FROM models")
        assert watermark >= self.watermark
        self.watermark = watermark


def test_any_order_of_moves_is_kept_straight(scene: Scene) -> None:
    Moves.scene = scene
    run_state_machine_as_test(Moves, settings=EXAMPLES)
