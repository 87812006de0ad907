"""How the deployment is at this moment, by the ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from sqlalchemy.orm import Session

from ledger import occurrences, vitals, workers
from ledger.database import unit_of_work
from ledger.vitals import NONE, ModelVitals, Unfinished
from tests.integration.ledger.conftest import REPLICA_TIMEOUT_S, Scene

T = TypeVar("T")

HOUR_S = 3600
NEARLY = 60.0


def read(scene: Scene, reading: Callable[[Session], T]) -> T:
    with unit_of_work(scene.database) as session:
        return reading(session)


def model(scene: Scene) -> ModelVitals:
    (only,) = read(scene, vitals.models)
    return only


def test_where_nothing_is_open_nothing_waits(scene: Scene) -> None:
    scene.train()
    scene.cancel(scene.record("anna"))
    assert read(scene, vitals.unfinished) == Unfinished(0, 0, 0, 0.0, 0.0, None)
    assert read(scene, vitals.live_runs) == []
    assert read(scene, vitals.callbacks) == NONE


def test_open_requests_are_counted_by_what_is_wrong_with_them(scene: Scene) -> None:
    scene.train()
    late, failing, _ = scene.record("anna"), scene.record("bert"), scene.record("carla")
    scene.sql("UPDATE deletion_requests SET recorded_at = now() - interval '31 d' WHERE id = :id", id=late)
    scene.sql("UPDATE deletion_requests SET due_at = now() - interval '1 h' WHERE id = :id", id=late)
    scene.sql("UPDATE deletion_requests SET suppressed_at = now() WHERE id = :id", id=late)
    held = "UPDATE deletion_requests SET failure = 'x', attempts = 3, next_attempt_at = now() + interval '1 h'"
    scene.sql(f"{held} WHERE id = :id", id=failing)
    found = read(scene, vitals.unfinished)
    assert (found.overdue, found.held, found.failing) == (1, 1, 1)
    assert found.oldest_s == pytest.approx(31 * 24 * HOUR_S, abs=NEARLY)
    assert 0 < found.unsuppressed_s < NEARLY
    assert found.due_in_s == pytest.approx(-HOUR_S, abs=NEARLY)


def test_a_model_owes_what_it_still_holds(scene: Scene) -> None:
    scene.train()
    assert model(scene).owed == NONE
    scene.record("anna")
    scene.record("bert")
    scene.sql("UPDATE deletion_requests SET recorded_at = now() - interval '1 h' WHERE sequence = 2")
    owed = model(scene).owed
    assert owed.count == 2
    assert owed.oldest_s == pytest.approx(HOUR_S, abs=NEARLY)


def test_a_run_is_live_until_it_is_published_then_its_certificate_and_the_parents_end_are_awaited(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    lease = scene.take()
    (run,) = read(scene, vitals.live_runs)
    assert (run.model, run.purpose, run.phase, run.residual) == ("main", "unlearn", None, None)
    assert run.age_s < NEARLY
    digest = scene.publish(lease, certified=False)
    assert read(scene, vitals.live_runs) == []
    found = model(scene)
    assert (found.version, found.owed, found.uncertified.count, found.undestroyed.count) == (2, NONE, 1, 1)
    scene.certify()
    scene.acknowledge(digest)
    scene.destroy()
    assert (model(scene).uncertified, model(scene).undestroyed) == (NONE, NONE)


def test_a_superseded_snapshot_without_a_requests_data_is_not_to_be_destroyed(scene: Scene) -> None:
    scene.train()
    scene.train()
    assert model(scene).undestroyed == NONE


def test_a_replica_is_behind_until_it_serves_the_child(scene: Scene) -> None:
    scene.acknowledge(scene.train())
    scene.record("anna")
    child = scene.publish(scene.take())
    (behind,) = read(scene, lambda session: vitals.replicas(session, HOUR_S))
    assert (behind.live, behind.versions_behind, behind.watermark_lag > 0) == (True, 1, True)
    scene.acknowledge(child)
    scene.silence("r1")
    (silent,) = read(scene, lambda session: vitals.replicas(session, REPLICA_TIMEOUT_S))
    assert (silent.live, silent.versions_behind, silent.watermark_lag) == (False, 0, 0)
    assert silent.heartbeat_age_s > REPLICA_TIMEOUT_S


def test_the_log_says_how_much_of_it_is_unsigned(scene: Scene) -> None:
    scene.record("anna")
    said = read(scene, vitals.log)
    assert said.entries == said.unsigned > 0


def test_a_worker_gets_on_when_it_hears_or_sends_a_heartbeat(scene: Scene) -> None:
    for owner in ("host:1:a", "host:2:b"):
        read(scene, lambda session, owner=owner: workers.hear(session, owner))  # type: ignore[misc]
    scene.sql("UPDATE workers SET heard_at = now() - interval '1 h'")
    scene.train()
    scene.record("anna")
    scene.take(owner="host:1:a")
    silences = {each.owner: each.silence_s for each in read(scene, workers.progress)}
    assert silences["host:1:a"] < NEARLY
    assert silences["host:2:b"] == pytest.approx(HOUR_S, abs=NEARLY)
    read(scene, lambda session: workers.forget_silent(session, HOUR_S / 2))
    assert [each.owner for each in read(scene, workers.progress)] == ["host:1:a"]


def test_a_process_that_starts_again_takes_the_place_of_what_it_was(scene: Scene) -> None:
    for owner in ("host:1:a", "host:11:b", "other:1:c"):
        read(scene, lambda session, owner=owner: workers.hear(session, owner))  # type: ignore[misc]
    read(scene, lambda session: workers.replace(session, "host:1:"))
    assert [each.owner for each in read(scene, workers.progress)] == ["host:11:b", "other:1:c"]


def test_occurrences_are_counted_with_the_time_of_the_last(scene: Scene) -> None:
    assert read(scene, occurrences.seen) == {}
    read(scene, lambda session: occurrences.note(session, "sweep"))
    read(scene, lambda session: occurrences.note(session, "sweep"))
    seen = read(scene, occurrences.seen)["sweep"]
    assert seen.count == 2
    assert 0 <= seen.age_s < NEARLY
