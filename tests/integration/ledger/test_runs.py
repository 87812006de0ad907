"""Leases, heartbeats and the fenced publish."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, text

from alteraser.deletions import Deletions
from ledger import runs, sweep
from ledger.database import unit_of_work
from ledger.errors import LeaseLost, ModelKindChanged, PointerMoved, WatermarkFell

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

N_THREADS = 8
MANY = 10_000
MOST_STATEMENTS = 40


class Crash(Exception):
    """The process is gone before it could commit."""


def lease_and_crash(scene: Scene) -> None:
    with unit_of_work(scene.database) as session:
        assert runs.lease(session, "main", "crashing", 30) is not None
        raise Crash


def record_many(scene: Scene) -> None:
    scene.sql(
        "INSERT INTO deletion_requests "
        "(tenant, payload_digest, kind, subject, subject_hmac, sequence, state, due_at) "
        "SELECT 'shop', '', 'subject', 'u' || n, 'h' || n, n, 'pending', now() "
        "FROM generate_series(1, :n) AS n",
        n=MANY,
    )
    scene.sql(
        "INSERT INTO request_models (request_id, model, state) SELECT id, 'main', 'pending' FROM deletion_requests"
    )


def heartbeat(scene: Scene, lease: runs.Lease) -> None:
    with unit_of_work(scene.database) as session:
        runs.heartbeat(session, lease, 30, "newton", 2, 0.5)


def test_a_lease_takes_every_pending_request_of_each_kind(scene: Scene) -> None:
    parent = scene.train()
    ids = (
        scene.record("anna"),
        scene.record("bert", kind="interactions", items=("alien", "brazil")),
        scene.record(kind="item", item="casablanca"),
    )
    lease = scene.take()
    assert lease.request_ids == ids
    assert lease.parent == parent
    assert lease.watermark == scene.see(ids[2]).sequence
    assert lease.deletions == Deletions(
        frozenset({"anna"}), frozenset({"casablanca"}), frozenset({("bert", "alien"), ("bert", "brazil")})
    )
    assert {scene.see(id).state for id in ids} == {"in_progress"}
    assert {scene.see(id).attempts for id in ids} == {1}


def test_nothing_is_leased_where_nothing_is_pending(scene: Scene) -> None:
    scene.train()
    assert scene.lease() is None
    assert scene.lease("unheard-of") is None
    assert scene.ask("SELECT count(*) FROM runs WHERE purpose = 'unlearn'") == 0


def test_of_many_workers_one_gets_the_model(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    with ThreadPoolExecutor(N_THREADS) as threads:
        leases = list(threads.map(lambda n: scene.lease(owner=f"w{n}"), range(N_THREADS)))
    won = [lease for lease in leases if lease is not None]
    assert [lease.request_ids for lease in won] == [(request_id,)]
    assert scene.ask("SELECT count(*) FROM runs WHERE state = 'live'") == 1


def test_the_database_itself_refuses_a_second_live_run(scene: Scene) -> None:
    scene.train()
    insert = (
        "INSERT INTO runs (model, purpose, state, owner, lease_expires_at) "
        "VALUES ('main', 'unlearn', 'live', 'worker', now())"
    )
    scene.sql(insert)
    with pytest.raises(Exception, match="ix_runs_live"):
        scene.sql(insert)


def test_a_request_recorded_during_a_run_waits_for_the_next(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    first = scene.take()
    later = scene.record("bert")
    assert scene.lease() is None
    scene.publish(first)
    assert scene.take().request_ids == (later,)


def test_a_publish_moves_the_pointer_deletes_the_rows_and_settles_the_requests(scene: Scene) -> None:
    parent = scene.train()
    request_id = scene.record("anna")
    lease = scene.take()
    digest = scene.publish(lease)
    assert scene.count("anna") == 0
    assert scene.count("bert") == 3
    assert scene.ask("SELECT current FROM models") == digest
    assert scene.ask("SELECT superseded_at IS NOT NULL FROM snapshots WHERE digest = :d", d=parent)
    request = scene.see(request_id)
    assert request.state == "unlearned"
    assert request.unlearned_at is not None
    (asked,) = request.models
    assert (asked.state, asked.snapshot, asked.run_id) == ("published", digest, lease.run_id)
    assert asked.residual == 1e-6
    with unit_of_work(scene.database) as session:
        assert runs.was_published(session, lease, digest)
        assert not runs.was_published(session, lease, parent)


def test_rows_that_came_after_the_request_go_too(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    lease = scene.take()
    scene.stock([("anna", "metropolis")])
    scene.publish(lease)
    assert scene.count("anna") == 0


def test_a_heartbeat_extends_the_lease_and_says_how_far_the_run_is(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    lease = scene.take(lease_s=5)
    heartbeat(scene, lease)
    assert scene.ask("SELECT lease_expires_at > now() + interval '20 s' FROM runs WHERE state = 'live'")
    assert scene.ask("SELECT phase || step || residual FROM runs WHERE state = 'live'") == "newton20.5"


def test_a_worker_that_lost_its_lease_can_neither_publish_nor_heartbeat_nor_fail(scene: Scene) -> None:
    parent = scene.train()
    request_id = scene.record("anna")
    lost = scene.take(owner="slow")
    scene.let_expire(lost)
    for move in (scene.publish, scene.fail, lambda lease: heartbeat(scene, lease)):
        with pytest.raises(LeaseLost):
            move(lost)
    assert scene.ask("SELECT current FROM models") == parent
    assert scene.count("anna") == 3
    successor = scene.take(owner="quick")
    assert successor.request_ids == (request_id,)
    with pytest.raises(LeaseLost):
        scene.publish(lost)
    scene.publish(successor)
    with pytest.raises(LeaseLost):
        scene.publish(lost)
    assert scene.see(request_id).state == "unlearned"


def test_a_lease_is_its_owners_alone(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    stolen = replace(scene.take(owner="mine"), owner="yours")
    with pytest.raises(LeaseLost):
        scene.publish(stolen)


def test_of_two_publishes_of_one_run_one_succeeds(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    lease = scene.take()
    with ThreadPoolExecutor(2) as threads:
        attempts = [threads.submit(scene.publish, lease) for _ in range(2)]
    assert sum(isinstance(attempt.exception(), LeaseLost) for attempt in attempts) == 1
    assert scene.ask("SELECT version FROM models") == 2


def test_a_publish_is_refused_when_the_pointer_moved(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    lease = scene.take()
    scene.sql("UPDATE models SET current = 'another', version = version + 1")
    with pytest.raises(PointerMoved):
        scene.publish(lease)
    assert scene.count("anna") == 3


def test_the_watermark_never_falls(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    scene.publish(scene.take())
    scene.record("bert")
    lease = scene.take()
    with pytest.raises(WatermarkFell):
        scene.publish(lease, watermark=0)
    scene.publish(lease)
    assert scene.ask("SELECT watermark FROM models") == lease.watermark


def test_a_crash_between_record_and_lease_loses_nothing(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    with pytest.raises(Crash):
        lease_and_crash(scene)
    with unit_of_work(scene.database) as session:
        assert sweep.models_with_work(session) == ["main"]
    assert scene.take().request_ids == (request_id,)


def test_an_expired_run_gives_its_requests_back_at_once_and_later_after_a_pause(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    for attempt in (1, 2):
        scene.let_expire(scene.take())
        with unit_of_work(scene.database) as session:
            sweep.expire_leases(session)
        request = scene.see(request_id)
        assert (request.state, request.attempts) == ("pending", attempt)
    assert scene.lease() is None
    scene.rest()
    assert scene.take().request_ids == (request_id,)


def test_a_failed_run_keeps_its_reason_and_is_tried_again_after_a_pause_that_doubles(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    pauses = []
    for _ in range(3):
        scene.fail(scene.take())
        request = scene.see(request_id)
        assert (request.state, request.failure) == ("failed", "it did not converge")
        assert scene.lease() is None
        pauses.append(scene.ask("SELECT round(extract(epoch FROM next_attempt_at - now())) FROM deletion_requests"))
        scene.rest()
        with unit_of_work(scene.database) as session:
            assert sweep.retry_failed(session) == 1
        assert scene.see(request_id).state == "pending"
    assert pauses == [2, 4, 8]
    scene.publish(scene.take())
    assert scene.see(request_id).failure is None


def test_a_pause_is_never_longer_than_an_hour(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    scene.sql("UPDATE deletion_requests SET attempts = 5000")
    scene.fail(scene.take())
    assert scene.ask("SELECT next_attempt_at <= now() + interval '1 hour' FROM deletion_requests")


def test_the_watermark_stops_before_a_request_left_behind(scene: Scene) -> None:
    scene.train()
    resting = scene.record("anna")
    scene.fail(scene.take())
    scene.record("bert")
    lease = scene.take()
    assert resting not in lease.request_ids
    assert lease.watermark < scene.see(resting).sequence
    scene.publish(lease)
    scene.rest()
    assert scene.take().watermark == scene.ask("SELECT value FROM clock")


def test_a_request_is_unlearned_when_every_model_has_published(scene: Scene) -> None:
    scene.train("main")
    scene.train("other")
    request_id = scene.record("anna")
    scene.publish(scene.take("main"))
    assert scene.see(request_id).state == "in_progress"
    other = scene.take("other")
    scene.let_expire(other)
    with unit_of_work(scene.database) as session:
        assert sweep.expire_leases(session) == [other.run_id]
    assert scene.see(request_id).state == "in_progress"
    scene.rest()
    scene.publish(scene.take("other"))
    assert scene.see(request_id).state == "unlearned"


def test_training_takes_what_is_pending_and_satisfies_everything_asked_before(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    digest = scene.train()
    assert scene.see(request_id).models[0].snapshot == digest
    assert scene.ask("SELECT watermark FROM models") == scene.ask("SELECT value FROM clock")
    assert scene.count("anna") == 0


def test_a_request_recorded_while_a_model_is_first_trained_is_asked_of_it(scene: Scene) -> None:
    with unit_of_work(scene.database) as session:
        runs.declare(session, "main", "wmf")
    with unit_of_work(scene.database) as session:
        training = runs.lease(session, "main", "trainer", 30, purpose="train")
    assert training is not None
    request_id = scene.record("anna")
    scene.publish(training)
    assert scene.see(request_id).state == "pending"
    assert scene.take().request_ids == (request_id,)


def test_a_declared_model_that_was_never_trained_holds_up_nothing(scene: Scene) -> None:
    with unit_of_work(scene.database) as session:
        runs.declare(session, "main", "wmf")
    request_id = scene.record("anna")
    with unit_of_work(scene.database) as session:
        assert sweep.settle_untrained(session) == [request_id]
    assert scene.see(request_id).state == "unlearned"
    assert scene.count("anna") == 0


def test_a_training_that_runs_is_not_settled_away(scene: Scene) -> None:
    with unit_of_work(scene.database) as session:
        runs.declare(session, "main", "wmf")
        assert runs.lease(session, "main", "trainer", 30, purpose="train") is not None
    request_id = scene.record("anna")
    with unit_of_work(scene.database) as session:
        assert sweep.settle_untrained(session) == []
    assert scene.see(request_id).state == "pending"


def test_a_model_keeps_its_kind(scene: Scene) -> None:
    with unit_of_work(scene.database) as session:
        runs.declare(session, "main", "wmf")
        runs.declare(session, "main", "wmf")
        with pytest.raises(ModelKindChanged):
            runs.declare(session, "main", "neumf")


def test_ten_thousand_requests_are_leased_and_published_in_a_few_statements(scene: Scene) -> None:
    scene.train()
    scene.stock((f"u{n}", "alien") for n in range(1, MANY + 1))
    record_many(scene)
    statements: list[str] = []
    event.listen(scene.database.engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    lease = scene.take()
    assert len(lease.deletions.subjects) == MANY
    scene.publish(lease)
    assert len(statements) <= MOST_STATEMENTS
    assert scene.ask("SELECT count(*) FROM interactions WHERE user_id LIKE 'u%'") == 0


def test_errors_of_the_database_do_not_repeat_what_was_sent(scene: Scene) -> None:
    with pytest.raises(Exception, match="division by zero") as refused:
        scene.sql("SELECT 1 / 0 WHERE 'a-secret-name' <> :name", name="another-secret-name")
    assert "another-secret-name" not in str(refused.value)


def test_a_lease_needs_no_plan_of_its_own_values(scene: Scene) -> None:
    """A long-lived connection plans its prepared statements once, for every value of their parameters."""
    scene.train()
    scene.record("anna")
    with unit_of_work(scene.database) as session:
        session.connection().connection.driver_connection.prepare_threshold = 0  # type: ignore[union-attr]
        session.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
        assert runs.lease(session, "main", "worker", 30) is not None
