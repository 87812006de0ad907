"""run_once, end to end: a real ledger, a real broker, real snapshots on disk, a real model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, func, select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from alteraser import snapshot
from alteraser.deletions import Deletions
from alteraser.eraser import Unlearned, unlearn
from alteraser.model import Watch
from alteraser.snapshot import Snapshot
from ledger import interactions, replicas, requests, runs
from ledger.database import unit_of_work
from ledger.doorbell import Doorbell
from ledger.errors import LeaseLost
from ledger.requests import RequestView
from ledger.runs import Lease
from ledger.tables import Run
from workers.attempts import by_retraining, by_unlearning
from workers.errors import ChildVanished, NothingPassed
from workers.leasing import Parent, take_lease
from workers.pipeline import run_once
from workers.workbench import Workbench, open_workbench

MODEL = "main"


def view(workbench: Workbench, request_id: UUID) -> RequestView:
    with unit_of_work(workbench.database) as session:
        return requests.get(session, "acme", request_id)


def live(workbench: Workbench) -> Snapshot:
    with unit_of_work(workbench.database) as session:
        digest = replicas.current(session, MODEL).digest
    assert digest is not None
    return snapshot.read(workbench.snapshots, digest)


def stored(workbench: Workbench, user: str) -> int:
    with unit_of_work(workbench.database) as session:
        return interactions.count(session, user)


def last_run(workbench: Workbench) -> Run:
    with unit_of_work(workbench.database) as session:
        return session.scalars(select(Run).order_by(Run.started_at.desc()).limit(1)).one()


def let_leases_run_out(workbench: Workbench) -> None:
    with unit_of_work(workbench.database) as session:
        session.execute(update(Run).where(Run.state == "live").values(lease_expires_at=func.clock_timestamp()))


def deaf(_: Workbench, lease: Lease, parent: Parent, watch: Watch) -> Unlearned:
    """A way that deletes nothing of what was asked."""
    return unlearn(parent.snapshot, Deletions(), watermark=lease.watermark, parent_digest=parent.digest, watch=watch)


def test_a_subject_is_out_of_the_data_and_of_the_model(trained: Workbench, ask: Callable[..., UUID]) -> None:
    before = live(trained)
    request_id = ask(user="7")

    digest = run_once(trained, MODEL)

    child = live(trained)
    assert digest in snapshot.digests(trained.snapshots)
    assert "7" not in child.interactions.users
    assert child.interactions.digest() == before.interactions.without(Deletions(frozenset({"7"}))).digest()
    assert stored(trained, "7") == 0
    assert view(trained, request_id).state == "unlearned"
    assert view(trained, request_id).models[0].snapshot == digest


def test_one_run_drains_every_kind_of_request(trained: Workbench, ask: Callable[..., UUID]) -> None:
    items = tuple(live(trained).interactions.items_of("3")[:2])
    asked = [ask(user="7"), ask(item="1"), ask(user="3", items=items)]

    run_once(trained, MODEL)

    child = live(trained).interactions
    assert [view(trained, request_id).state for request_id in asked] == ["unlearned"] * 3
    assert "1" not in child.items
    assert not set(items) & set(child.items_of("3"))
    assert child.items_of("3")


def test_the_order_of_two_deletions_does_not_matter(trained: Workbench, ask: Callable[..., UUID]) -> None:
    together = live(trained).interactions.without(Deletions(frozenset({"7", "9"}))).digest()
    for user in ("9", "7"):
        ask(user=user)
        run_once(trained, MODEL)
    assert live(trained).interactions.digest() == together


def test_the_run_keeps_what_the_receipt_will_say(trained: Workbench, ask: Callable[..., UUID]) -> None:
    ask(user="7")
    run_once(trained, MODEL)
    report: dict[str, Any] = last_run(trained).report or {}
    assert report["algorithm"] == "alteraser"
    assert report["residual"] <= report["tolerance"]
    assert report["residual_before"] > report["residual"]
    assert report["removed"]["users"] == 1
    assert [gate["gate"] for gate in report["gates"]] == ["converged", "absent", "finite", "accurate"]


def test_replicas_are_told_of_the_child(trained: Workbench, ask: Callable[..., UUID]) -> None:
    replica = Doorbell(trained.settings.broker_url)
    replica.listen(0.05)
    ask(user="7")
    run_once(trained, MODEL)
    assert replica.listen(2.0)
    replica.close()


def test_nothing_is_done_where_nothing_is_pending(trained: Workbench) -> None:
    before = snapshot.digests(trained.snapshots)
    assert run_once(trained, MODEL) is None
    assert snapshot.digests(trained.snapshots) == before


def test_a_second_request_for_someone_already_gone_is_unlearned_too(
    trained: Workbench, ask: Callable[..., UUID]
) -> None:
    first = ask(user="7")
    second = ask(user="7")
    run_once(trained, MODEL)
    assert {view(trained, request_id).state for request_id in (first, second)} == {"unlearned"}


def test_a_child_that_fails_a_gate_is_retrained_and_the_report_says_so(
    trained: Workbench, ask: Callable[..., UUID]
) -> None:
    request_id = ask(user="7")
    run_once(trained, MODEL, {"deaf": deaf, "retraining": by_retraining})
    report: dict[str, Any] = last_run(trained).report or {}
    assert report["algorithm"] == "retrain"
    assert report["refused"] == {"deaf": "absent 1 > 0"}
    assert "7" not in live(trained).interactions.users
    assert view(trained, request_id).state == "unlearned"


def test_where_nothing_passes_the_requests_fail_with_the_reason_and_the_parent_stays(
    trained: Workbench, ask: Callable[..., UUID]
) -> None:
    before = live(trained)
    request_id = ask(user="7")
    with pytest.raises(NothingPassed):
        run_once(trained, MODEL, {"deaf": deaf})
    request = view(trained, request_id)
    assert request.state == "failed"
    assert request.failure == "nothing passed the gates (deaf: absent 1 > 0)"
    assert request.next_attempt_at is not None
    assert live(trained).interactions.digest() == before.interactions.digest()
    assert stored(trained, "7") > 0
    assert len(snapshot.digests(trained.snapshots)) == 1


def test_an_error_nobody_foresaw_is_recorded_by_its_class_only(trained: Workbench, ask: Callable[..., UUID]) -> None:
    def unforeseen(*_: object) -> Unlearned:
        raise RuntimeError("user 7 is in here")

    request_id = ask(user="7")
    with pytest.raises(RuntimeError):
        run_once(trained, MODEL, {"unforeseen": unforeseen})
    assert view(trained, request_id).failure == "RuntimeError"


def test_in_place_of_a_damaged_parent_a_model_is_trained_from_the_rows(
    trained: Workbench, ask: Callable[..., UUID]
) -> None:
    (digest,) = snapshot.digests(trained.snapshots)
    file = trained.snapshots / digest / snapshot.PARAMETERS
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    request_id = ask(user="7")
    child = run_once(trained, MODEL)
    assert child is not None
    assert "7" not in snapshot.read(trained.snapshots, child).interactions.users
    assert view(trained, request_id).state == "unlearned"


def test_a_worker_that_lost_its_lease_stops_at_the_next_heartbeat(trained: Workbench, ask: Callable[..., UUID]) -> None:
    def interrupted(workbench: Workbench, lease: Lease, parent: Parent, watch: Watch) -> Unlearned:
        let_leases_run_out(workbench)
        return by_unlearning(workbench, lease, parent, watch)

    request_id = ask(user="7")
    with pytest.raises(LeaseLost):
        run_once(trained, MODEL, {"interrupted": interrupted})
    assert len(snapshot.digests(trained.snapshots)) == 1

    successor = open_workbench(trained.settings)
    assert run_once(successor, MODEL) is not None
    successor.close()
    assert view(trained, request_id).state == "unlearned"


def test_a_zombie_cannot_publish_and_leaves_no_folder(trained: Workbench, ask: Callable[..., UUID]) -> None:
    def overtaken(workbench: Workbench, lease: Lease, parent: Parent, watch: Watch) -> Unlearned:
        found = by_unlearning(workbench, lease, parent, watch)
        let_leases_run_out(workbench)
        ask(user="9")  # so that the successor's child is another one
        successor = open_workbench(workbench.settings)
        run_once(successor, MODEL)
        successor.close()
        return found

    ask(user="7")
    with pytest.raises(LeaseLost):
        run_once(trained, MODEL, {"overtaken": overtaken})
    assert not {"7", "9"} & set(live(trained).interactions.users.ids)
    assert len(snapshot.digests(trained.snapshots)) == 2


def test_a_zombie_does_not_destroy_the_same_child_that_its_successor_published(
    trained: Workbench, ask: Callable[..., UUID]
) -> None:
    def overtaken(workbench: Workbench, lease: Lease, parent: Parent, watch: Watch) -> Unlearned:
        found = by_unlearning(workbench, lease, parent, watch)
        let_leases_run_out(workbench)
        successor = open_workbench(workbench.settings)
        run_once(successor, MODEL, {"the same": lambda *_: found})
        successor.close()
        return found

    request_id = ask(user="7")
    with pytest.raises(LeaseLost):
        run_once(trained, MODEL, {"overtaken": overtaken})
    assert "7" not in live(trained).interactions.users
    assert view(trained, request_id).state == "unlearned"


def test_a_child_whose_folder_is_gone_is_not_published(
    trained: Workbench, ask: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = snapshot.write

    def written_and_lost(root: Any, child: Snapshot) -> str:
        digest = write(root, child)
        snapshot.destroy(root, digest)
        return digest

    before = live(trained)
    request_id = ask(user="7")
    monkeypatch.setattr(snapshot, "write", written_and_lost)
    with pytest.raises(ChildVanished):
        run_once(trained, MODEL)
    assert view(trained, request_id).state == "failed"
    assert live(trained).interactions.digest() == before.interactions.digest()


def test_a_commit_whose_answer_was_lost_is_found_to_be_published(
    trained: Workbench, ask: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_the_answer(_: object) -> None:
        raise OperationalError("COMMIT", None, Exception("the connection was lost"))

    def published_then_cut(session: Session, *published: Any) -> int:
        version = publish(session, *published)
        event.listen(session, "after_commit", lose_the_answer, once=True)
        return version

    request_id = ask(user="7")
    publish = runs.publish
    monkeypatch.setattr(runs, "publish", published_then_cut)
    assert run_once(trained, MODEL) is not None
    assert view(trained, request_id).state == "unlearned"
    assert "7" not in live(trained).interactions.users


def test_a_model_with_a_live_run_is_left_to_it(trained: Workbench, ask: Callable[..., UUID]) -> None:
    ask(user="7")
    assert take_lease(replace(trained, owner="another"), MODEL) is not None
    assert run_once(trained, MODEL) is None
