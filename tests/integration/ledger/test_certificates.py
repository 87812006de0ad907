"""Who makes a certificate, who waits for it, and what stands in its place where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ledger import certificates, completion, overview
from ledger.certificates import DESTROYED, MOST_ATTEMPTS
from ledger.database import unit_of_work
from ledger.receipts import jwks, verify
from ledger.runs import Lease

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

MADE = {"sigma": 1.0, "gap": 1e-9, "influence_bound": 1e-4}


def published(scene: Scene, user: str = "anna") -> tuple[UUID, Lease, str]:
    """Record and publish, and certify nothing; the request, its run and the child."""
    request_id = scene.record(user)
    lease = scene.take()
    return request_id, lease, scene.publish(lease, certified=False)


def receipt(scene: Scene, request_id: UUID, secrets_dir: Path) -> dict[str, Any]:
    """What the receipt says of the one model."""
    with unit_of_work(scene.database) as session:
        jws = completion.receipt(session, "shop", request_id)
    assert jws is not None
    (model,) = verify(jws, jwks(secrets_dir))["models"]
    return dict(model)


def record(scene: Scene, *, reason: str | None = None) -> None:
    taken = scene.take_certificate()
    assert taken is not None
    with unit_of_work(scene.database) as session:
        if reason is None:
            certificates.record(session, taken, MADE)
        else:
            certificates.record_none(session, taken, reason)


def test_a_published_child_is_taken_with_what_the_run_reported(scene: Scene) -> None:
    scene.train()
    _, lease, child = published(scene)
    taken = scene.take_certificate()
    assert taken is not None
    assert (taken.run_id, taken.model, taken.child, taken.moved) == (lease.run_id, "main", child, 2.0)


def test_only_the_publisher_may_take_it_before_its_lease_runs_out(scene: Scene) -> None:
    scene.train()
    published(scene)
    assert scene.take_certificate("another") is None
    scene.fall_silent()
    assert scene.take_certificate("another") is not None
    assert scene.take_certificate("worker") is None


def test_a_live_or_failed_run_has_no_child_to_certify(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    lease = scene.take()
    assert scene.take_certificate() is None
    scene.fail(lease)
    assert scene.take_certificate() is None


def test_what_a_request_waits_for_comes_before_an_older_training(scene: Scene) -> None:
    scene.train()
    scene.sql("UPDATE runs SET certificate = NULL")
    _, lease, _ = published(scene)
    scene.fall_silent()
    first, second = (scene.take_certificate("another") for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.run_id == lease.run_id


def test_a_certificate_is_settled_once(scene: Scene) -> None:
    scene.train()
    published(scene)
    first, second = scene.take_certificate(), scene.take_certificate()
    assert first is not None
    assert second is not None
    with unit_of_work(scene.database) as session:
        certificates.record(session, first, MADE)
        certificates.record(session, second, {"sigma": 2.0})
        certificates.record_none(session, second, "too late")
    assert scene.ask("SELECT certificate->>'sigma' FROM runs WHERE purpose = 'unlearn'") == "1.0"
    assert scene.ask("SELECT uncertified FROM runs WHERE purpose = 'unlearn'") is None
    assert scene.take_certificate() is None


def test_a_certificate_that_kills_its_workers_is_given_up(scene: Scene) -> None:
    scene.train()
    request_id, _, child = published(scene)
    scene.acknowledge(child)
    for _ in range(MOST_ATTEMPTS):
        with unit_of_work(scene.database) as session:
            assert certificates.give_up(session) == []
        assert scene.take_certificate("another" if _ else "worker") is not None
        scene.fall_silent()
    assert scene.take_certificate() is None
    assert scene.completable() == []
    with unit_of_work(scene.database) as session:
        assert len(certificates.give_up(session)) == 1
    assert scene.completable() == [request_id]
    assert "fell silent" in scene.ask("SELECT uncertified FROM runs WHERE purpose = 'unlearn'")


def test_one_that_is_hopeless_does_not_hold_up_the_next(scene: Scene) -> None:
    scene.train()
    published(scene)
    scene.sql("UPDATE runs SET certifications = :n", n=MOST_ATTEMPTS)
    _, lease, _ = published(scene, "bert")
    taken = scene.take_certificate()
    assert taken is not None
    assert taken.run_id == lease.run_id


def test_the_receipt_waits_for_the_certificate_and_carries_it(scene: Scene, secrets_dir: Path) -> None:
    scene.train()
    request_id, _, child = published(scene)
    scene.acknowledge(child)
    scene.destroy()
    assert scene.completable() == []
    assert "certificate" in (scene.complete(request_id) or "it was completed")
    record(scene)
    assert scene.completable() == [request_id]
    scene.complete(request_id)
    said = receipt(scene, request_id, secrets_dir)
    assert {name: said["certificate"][name] for name in MADE} == MADE
    assert "docs/algorithm.md" in said["certificate"]["assumes"]
    assert said["uncertified"] is None


def test_a_reason_lets_the_receipt_be_signed_and_stands_in_it(scene: Scene, secrets_dir: Path) -> None:
    scene.train()
    request_id, _, child = published(scene)
    record(scene, reason="there is no such proof")
    scene.acknowledge(child)
    scene.destroy()
    scene.complete(request_id)
    said = receipt(scene, request_id, secrets_dir)
    assert (said["certificate"], said["uncertified"]) == (None, "there is no such proof")


def test_the_parent_is_destroyed_without_waiting_for_the_certificate(scene: Scene) -> None:
    parent = scene.train()
    _, _, child = published(scene)
    scene.acknowledge(child)
    assert scene.completable() == []
    assert scene.to_destroy() == [("main", parent)]


def test_a_superseded_child_is_not_destroyed_before_its_own_certificate_is_settled(scene: Scene) -> None:
    parent = scene.train()
    first, _, superseded = published(scene, "anna")
    second_id = scene.record("bert")
    live = scene.publish(scene.take(owner="another"))
    scene.acknowledge(live)
    assert scene.to_destroy() == [("main", parent)]
    assert scene.completable() == []
    assert "certificate" in (scene.complete(second_id) or "it was completed")
    record(scene)
    assert ("main", superseded) in scene.to_destroy()
    assert scene.completable() == [first, second_id]


def test_nobody_waits_for_the_certificate_of_a_training(scene: Scene) -> None:
    parent = scene.train()
    scene.sql("UPDATE runs SET certificate = NULL")
    request_id, _, child = published(scene)
    record(scene)
    scene.acknowledge(child)
    assert scene.to_destroy() == [("main", parent)]
    scene.destroy()
    assert scene.ask("SELECT uncertified FROM runs WHERE purpose = 'train'") == DESTROYED
    scene.complete(request_id)
    assert scene.see(request_id).state == "completed"


def test_a_request_shows_the_certificate_of_its_child(scene: Scene) -> None:
    scene.train()
    request_id, _, _ = published(scene)
    (before,) = scene.see(request_id).models
    assert (before.certificate, before.uncertified) == (None, None)
    record(scene)
    (after,) = scene.see(request_id).models
    assert after.certificate == MADE


def test_a_model_is_shown_with_the_run_that_made_what_is_served(scene: Scene) -> None:
    scene.train()
    _, lease, child = published(scene)
    record(scene)
    with unit_of_work(scene.database) as session:
        served = overview.model(session, "main")
    assert served.snapshot is not None
    assert served.run is not None
    assert (served.snapshot.digest, served.run.id, served.run.certificate) == (child, lease.run_id, MADE)
