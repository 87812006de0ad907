"""What the sweep finds and mends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ledger import runs, sweep
from ledger.database import unit_of_work

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene


def with_work(scene: Scene) -> list[str]:
    with unit_of_work(scene.database) as session:
        return list(sweep.models_with_work(session))


def test_models_with_work_are_those_that_owe_something_and_are_not_at_it(scene: Scene) -> None:
    scene.train("main")
    scene.train("other")
    assert with_work(scene) == []
    scene.record("anna")
    assert with_work(scene) == ["main", "other"]
    lease = scene.take("main")
    scene.record("bert")
    assert with_work(scene) == ["other"]
    scene.publish(lease)
    assert with_work(scene) == ["main", "other"]


def test_a_failed_request_is_no_work_until_its_pause_is_over(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    scene.fail(scene.take())
    with unit_of_work(scene.database) as session:
        assert sweep.retry_failed(session) == 0
    assert with_work(scene) == []
    scene.rest()
    assert with_work(scene) == ["main"]
    with unit_of_work(scene.database) as session:
        assert sweep.retry_failed(session) == 1
    assert scene.see(request_id).state == "pending"


def test_a_live_run_with_a_running_lease_is_left_alone(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    lease = scene.take()
    with unit_of_work(scene.database) as session:
        assert sweep.expire_leases(session) == []
        runs.heartbeat(session, lease, 30, "newton", 1)


def test_the_overdue_are_counted_until_they_end(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    cancelled = scene.record("bert")
    scene.sql("UPDATE deletion_requests SET due_at = now() - interval '1 s'")
    with unit_of_work(scene.database) as session:
        assert sweep.overdue_count(session) == 2
    scene.cancel(cancelled)
    with unit_of_work(scene.database) as session:
        assert sweep.overdue_count(session) == 1
