"""What replicas say of themselves, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ledger import clock, replicas, sweep
from ledger.database import unit_of_work
from ledger.errors import StaleReplica, UnknownModel

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

TIMEOUT_S = 10.0


def join(scene: Scene, replica: str, model: str = "main") -> None:
    with unit_of_work(scene.database) as session:
        replicas.join(session, replica, model)


def sweep_suppressed(scene: Scene) -> int:
    with unit_of_work(scene.database) as session:
        return sweep.suppress_without_replicas(session, TIMEOUT_S)


def test_a_request_is_suppressed_only_when_every_live_replica_obeys(scene: Scene) -> None:
    digest = scene.train()
    join(scene, "r1")
    join(scene, "r2")
    request_id = scene.record("anna")
    scene.acknowledge(digest, replica="r1")
    assert scene.see(request_id).suppressed_at is None
    scene.acknowledge(digest, replica="r2")
    assert scene.see(request_id).suppressed_at is not None


def test_a_replica_that_obeys_only_older_erasures_holds_up_the_newer(scene: Scene) -> None:
    digest = scene.train()
    first, second = scene.record("anna"), scene.record("bert")
    with unit_of_work(scene.database) as session:
        replicas.acknowledge(session, "r1", "main", digest, 0, clock.reading(session) - 1, TIMEOUT_S)
    assert scene.see(first).suppressed_at is not None
    assert scene.see(second).suppressed_at is None


def test_a_dead_replica_stops_blocking_suppression(scene: Scene) -> None:
    scene.train()
    join(scene, "r1")
    request_id = scene.record("anna")
    assert sweep_suppressed(scene) == 0
    scene.silence("r1")
    assert sweep_suppressed(scene) == 1
    assert scene.see(request_id).suppressed_at is not None


def test_where_no_replica_serves_nobody_needs_to_obey(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    assert sweep_suppressed(scene) == 1
    assert scene.see(request_id).suppressed_at is not None


def test_the_first_stamp_stays(scene: Scene) -> None:
    digest = scene.train()
    request_id = scene.record("anna")
    scene.acknowledge(digest)
    stamped = scene.see(request_id).suppressed_at
    scene.acknowledge(digest)
    assert scene.see(request_id).suppressed_at == stamped


def test_a_replica_that_left_blocks_nothing(scene: Scene) -> None:
    scene.train()
    join(scene, "r1")
    with unit_of_work(scene.database) as session:
        replicas.leave(session, "r1")
    scene.record("anna")
    assert sweep_suppressed(scene) == 1


def test_a_replica_cannot_go_back_to_a_lower_watermark(scene: Scene) -> None:
    parent = scene.train()
    scene.record("anna")
    child = scene.publish(scene.take())
    scene.acknowledge(child)
    with pytest.raises(StaleReplica):
        scene.acknowledge(parent)
    assert scene.ask("SELECT snapshot FROM replicas") == child


def test_a_replica_declared_dead_cannot_come_back_with_what_deletions_did_not_wait_for(scene: Scene) -> None:
    parent = scene.train()
    scene.acknowledge(parent)
    scene.record("anna")
    scene.silence("r1")
    child = scene.publish(scene.take())
    with pytest.raises(StaleReplica):
        scene.acknowledge(parent)
    scene.acknowledge(None)
    scene.acknowledge(child)
    assert scene.ask("SELECT snapshot FROM replicas") == child


def test_a_replica_that_serves_nothing_for_a_while_keeps_its_least_watermark(scene: Scene) -> None:
    parent = scene.train()
    scene.record("anna")
    scene.acknowledge(scene.publish(scene.take()))
    scene.acknowledge(None)
    with pytest.raises(StaleReplica):
        scene.acknowledge(parent)


def test_a_replica_that_starts_again_begins_with_nothing(scene: Scene) -> None:
    scene.acknowledge(scene.train())
    join(scene, "r1")
    assert scene.ask("SELECT snapshot FROM replicas") is None
    assert scene.ask("SELECT watermark + suppressed_through FROM replicas") == 0


def test_replicas_long_dead_are_forgotten(scene: Scene) -> None:
    join(scene, "r1")
    join(scene, "r2")
    scene.silence("r1")
    with unit_of_work(scene.database) as session:
        assert replicas.forget_dead(session, dead_s=5) == 1
    assert scene.ask("SELECT replica_id FROM replicas") == "r2"


def test_the_pointer_names_what_to_serve(scene: Scene) -> None:
    digest = scene.train()
    with unit_of_work(scene.database) as session:
        pointer = replicas.current(session, "main")
        assert (pointer.digest, pointer.version) == (digest, 1)
        with pytest.raises(UnknownModel):
            replicas.current(session, "unheard-of")


def test_changes_after_a_value_are_those_that_came_after_it(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    with unit_of_work(scene.database) as session:
        last = replicas.erasure_changes(session, 0)[-1].changed
        assert replicas.erasure_changes(session, last) == []
    scene.record(kind="item", item="alien")
    with unit_of_work(scene.database) as session:
        (change,) = replicas.erasure_changes(session, last)
    assert change.subject_hmac == scene.pseudonyms.item("alien")
    assert (change.scope, change.active) == ("item", True)
    assert change.changed > last
