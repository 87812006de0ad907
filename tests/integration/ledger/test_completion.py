"""When a request is done, what must be gone first, and the one receipt it gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from ledger import completion, sweep
from ledger.database import unit_of_work
from ledger.errors import RequestNotFound
from ledger.log import salts
from ledger.receipts import jwks, verify

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

N_THREADS = 4


def unlearn(scene: Scene, user: str = "anna") -> tuple[UUID, str]:
    """Record and publish; returns the request and the child."""
    request_id = scene.record(user)
    return request_id, scene.publish(scene.take())


def receipt(scene: Scene, request_id: UUID) -> str:
    with unit_of_work(scene.database) as session:
        jws = completion.receipt(session, "shop", request_id)
    assert jws is not None
    return jws


def claims(scene: Scene, request_id: UUID, secrets_dir: Path) -> dict[str, Any]:
    return verify(receipt(scene, request_id), jwks(secrets_dir))


def alias(scene: Scene, user: str) -> str | None:
    """How the log calls a user."""
    with unit_of_work(scene.database) as session:
        return salts.known_alias(session, "user", scene.pseudonyms.user(user))


def test_a_request_completes_when_replicas_swapped_and_old_generations_are_destroyed(scene: Scene) -> None:
    parent = scene.train()
    scene.acknowledge(parent)
    request_id, child = unlearn(scene)
    assert scene.completable() == []
    scene.acknowledge(child)
    assert scene.completable() == [request_id]
    assert scene.to_destroy() == [("main", parent)]
    assert "not destroyed" in (scene.complete(request_id) or "it was completed")
    scene.destroy()
    scene.complete(request_id)
    request = scene.see(request_id)
    assert request.state == "completed"
    assert request.suppressed_at is not None
    assert request.unlearned_at is not None
    assert request.completed_at is not None
    assert request.recorded_at < request.suppressed_at <= request.completed_at
    assert request.unlearned_at < request.completed_at
    assert scene.completable() == []
    assert scene.to_destroy() == []


def test_one_replica_that_has_not_swapped_holds_up_completion(scene: Scene) -> None:
    parent = scene.train()
    scene.acknowledge(parent, replica="slow")
    request_id, child = unlearn(scene)
    scene.acknowledge(child, replica="quick")
    scene.acknowledge(parent, replica="slow")
    assert scene.completable() == []
    assert scene.to_destroy() == []
    assert "still serves" in (scene.complete(request_id) or "it was completed")


def test_a_dead_replica_stops_blocking_completion(scene: Scene) -> None:
    parent = scene.train()
    scene.acknowledge(parent, replica="dead")
    request_id, child = unlearn(scene)
    scene.acknowledge(child, replica="quick")
    scene.acknowledge(parent, replica="dead")
    scene.silence("dead")
    assert scene.completable() == [request_id]


def test_a_replica_that_has_loaded_nothing_holds_up_completion(scene: Scene) -> None:
    scene.train()
    _, child = unlearn(scene)
    scene.acknowledge(child)
    scene.acknowledge(None, replica="starting")
    assert scene.completable() == []


def test_an_unsuppressed_request_is_not_completed(scene: Scene) -> None:
    scene.train()
    request_id, _ = unlearn(scene)
    assert scene.completable() == []
    assert "suppresses" in (scene.complete(request_id) or "it was completed")


def test_a_pending_request_is_not_completed(scene: Scene) -> None:
    scene.train()
    assert "pending" in (scene.complete(scene.record("anna")) or "it was completed")


def test_a_request_nobody_recorded_is_not_completed(scene: Scene) -> None:
    with pytest.raises(RequestNotFound):
        scene.complete(uuid4())


def test_a_later_generation_satisfies_an_earlier_request(scene: Scene) -> None:
    first_parent = scene.train()
    first, second_parent = unlearn(scene, "anna")
    second, child = unlearn(scene, "bert")
    scene.acknowledge(child)
    assert scene.completable() == [first, second]
    assert scene.to_destroy() == sorted([("main", first_parent), ("main", second_parent)])


def test_a_parent_with_an_equal_watermark_is_still_destroyed(scene: Scene) -> None:
    scene.train()
    left_behind = scene.record("anna")
    scene.fail(scene.take())
    unlearn(scene, "bert")
    scene.sql("UPDATE models SET watermark = (SELECT value FROM clock)")
    scene.rest()
    parent = scene.ask("SELECT current FROM models")
    child = scene.publish(scene.take())
    scene.acknowledge(parent, replica="slow")
    scene.acknowledge(child, replica="quick")
    assert left_behind not in scene.completable()
    scene.silence("slow")
    assert left_behind in scene.completable()
    assert ("main", parent) in scene.to_destroy()


def test_content_that_another_model_serves_is_not_destroyed(scene: Scene) -> None:
    parent = scene.train()
    scene.train("other")
    scene.sql("UPDATE models SET current = :digest WHERE name = 'other'", digest=parent)
    request_id = scene.record("anna")
    scene.acknowledge(scene.publish(scene.take()))
    scene.publish(scene.take("other"))
    assert request_id in scene.completable()
    scene.sql("UPDATE models SET current = :digest WHERE name = 'other'", digest=parent)
    assert ("main", parent) not in scene.to_destroy()


def test_two_completers_at_once_issue_one_receipt(scene: Scene) -> None:
    scene.train()
    request_id, child = unlearn(scene)
    scene.acknowledge(child)
    scene.destroy()
    with ThreadPoolExecutor(N_THREADS) as threads:
        list(threads.map(lambda _: scene.complete(request_id), range(N_THREADS)))
    assert scene.ask("SELECT count(*) FROM receipts") == 1
    assert scene.ask("SELECT changed FROM erasures") == scene.ask("SELECT value FROM clock")


def test_completion_nulls_the_identity_and_lifts_the_suppression(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna", kind="interactions", items=("alien",))
    child = scene.publish(scene.take())
    scene.acknowledge(child)
    assert scene.suppressed() == {scene.pseudonyms.user("anna")}
    scene.destroy()
    scene.complete(request_id)
    assert scene.suppressed() == set()
    assert scene.ask("SELECT subject IS NULL AND payload IS NULL FROM deletion_requests")
    assert scene.count("anna") == 2


def test_the_receipt_says_what_was_done_and_names_nobody(scene: Scene, secrets_dir: Path) -> None:
    parent = scene.train()
    request_id, child = unlearn(scene)
    scene.acknowledge(child)
    scene.destroy()
    scene.complete(request_id)
    said = claims(scene, request_id, secrets_dir)
    assert said["sub"] == alias(scene, "anna") != scene.pseudonyms.user("anna")
    assert said["request_id"] == str(request_id)
    assert said["iss"].endswith(scene.signer.kid)
    clocks = [said[f"{step}_at"] for step in ("recorded", "suppressed", "unlearned", "completed")]
    assert None not in clocks
    (model,) = said["models"]
    assert (model["parent"], model["child"]) == (parent, child)
    assert model["report"]["gates"] == {"finite": True}
    assert [gone["snapshot"] for gone in said["destroyed"]] == [parent]
    assert "not a proof" in said["statement"]
    assert any("backups" in place for place in said["unreachable"])
    assert "anna" not in str(said)


def test_a_request_without_models_completes_with_a_receipt(scene: Scene, secrets_dir: Path) -> None:
    request_id = scene.record("anna")
    with unit_of_work(scene.database) as session:
        sweep.suppress_without_replicas(session, 10.0)
    assert scene.completable() == [request_id]
    scene.complete(request_id)
    assert claims(scene, request_id, secrets_dir)["models"] == []


def test_a_request_asked_of_an_untrained_model_completes_with_a_receipt(scene: Scene, secrets_dir: Path) -> None:
    scene.sql("INSERT INTO models (name, kind) VALUES ('main', 'wmf')")
    request_id = scene.record("anna")
    with unit_of_work(scene.database) as session:
        sweep.settle_untrained(session)
    scene.acknowledge(None)
    scene.complete(request_id)
    (model,) = claims(scene, request_id, secrets_dir)["models"]
    assert (model["parent"], model["child"]) == (None, None)


def test_a_receipt_is_its_tenants_and_only_there_after_completion(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    with unit_of_work(scene.database) as session:
        assert completion.receipt(session, "shop", request_id) is None
        with pytest.raises(RequestNotFound):
            completion.receipt(session, "another", request_id)


def test_only_published_and_undestroyed_snapshots_may_lie_in_the_folder(scene: Scene) -> None:
    parent = scene.train()
    _, child = unlearn(scene)
    with unit_of_work(scene.database) as session:
        assert completion.kept(session) == {parent, child}
    scene.acknowledge(child)
    scene.destroy()
    with unit_of_work(scene.database) as session:
        assert completion.kept(session) == {child}


def test_the_current_snapshot_is_never_marked_destroyed(scene: Scene) -> None:
    digest = scene.train()
    with unit_of_work(scene.database) as session:
        completion.mark_destroyed(session, "main", digest)
    assert scene.ask("SELECT destroyed_at FROM snapshots") is None
