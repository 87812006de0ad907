"""Recording, reading and cancelling deletion requests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from ledger import recording, requests
from ledger.database import unit_of_work
from ledger.errors import InvalidCursor, KeyReused, NotCancellable, RequestNotFound, UnknownSubject
from ledger.recording import NewRequest, Recorded

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

N_THREADS = 8


def test_a_recorded_request_is_pending_and_its_subject_suppressed(scene: Scene) -> None:
    scene.train()
    request = scene.see(scene.record("anna", reason="asked by mail"))
    assert request.state == "pending"
    assert request.subject_hmac == scene.pseudonyms.user("anna")
    assert scene.suppressed() == {scene.pseudonyms.user("anna")}
    assert request.due_at - request.recorded_at == timedelta(days=30)
    assert not request.overdue
    assert [asked.state for asked in request.models] == ["pending"]


def test_the_same_key_and_payload_replay_the_first_answer(scene: Scene) -> None:
    scene.train()
    assert scene.record("anna", key="k") == scene.record("anna", key="k")
    assert scene.ask("SELECT count(*) FROM deletion_requests") == 1


def test_a_key_is_replayed_even_after_the_data_is_gone(scene: Scene) -> None:
    first = scene.record("anna", key="k")
    assert scene.count("anna") == 0
    assert scene.record("anna", key="k") == first


@pytest.mark.parametrize("other", [{"user": "bert"}, {"user": "anna", "reason": "another"}])
def test_the_same_key_with_another_payload_is_refused(scene: Scene, other: dict[str, str]) -> None:
    scene.record("anna", key="k")
    with pytest.raises(KeyReused):
        scene.record(**other, key="k")


def test_many_threads_with_one_key_record_one_request(scene: Scene) -> None:
    scene.train()

    def record(_: int) -> Recorded:
        with unit_of_work(scene.database) as session:
            return recording.record(session, NewRequest("shop", "subject", "anna", key="k"), scene.pseudonyms)

    with ThreadPoolExecutor(N_THREADS) as threads:
        recorded = list(threads.map(record, range(N_THREADS)))
    assert len({each.request_id for each in recorded}) == 1
    assert sum(not each.replayed for each in recorded) == 1


def test_sequences_of_many_threads_are_distinct_and_follow_the_clock(scene: Scene) -> None:
    scene.train()
    with ThreadPoolExecutor(N_THREADS) as threads:
        ids = list(threads.map(lambda n: scene.record("anna", key=str(n)), range(N_THREADS)))
    by_sequence = sorted((scene.see(id) for id in ids), key=lambda request: request.sequence)
    recorded = [request.recorded_at for request in by_sequence]
    assert recorded == sorted(recorded)
    assert len({request.sequence for request in by_sequence}) == N_THREADS


def test_a_second_request_of_a_subject_still_present_is_recorded(scene: Scene) -> None:
    scene.train()
    assert scene.record("anna", key="a") != scene.record("anna", key="b")


@pytest.mark.parametrize(
    "unknown",
    [
        {"user": "nobody-knows-me"},
        {"user": "nul\0character"},
        {"kind": "item", "item": "nobody-knows-me"},
        {"kind": "interactions", "user": "anna", "items": ("nobody-knows-me",)},
        {"kind": "interactions", "user": "anna", "items": ("nul\0character",)},
    ],
)
def test_what_nobody_stored_is_unknown_and_never_repeated(scene: Scene, unknown: dict[str, str]) -> None:
    with pytest.raises(UnknownSubject) as refused:
        scene.record(**unknown)
    assert "nobody-knows-me" not in str(refused.value)
    assert scene.ask("SELECT value FROM clock") == 0


def test_without_a_model_the_rows_go_at_once(scene: Scene) -> None:
    request = scene.see(scene.record("anna"))
    assert scene.count("anna") == 0
    assert request.state == "unlearned"
    assert request.unlearned_at is not None
    assert request.models == ()


def test_without_a_model_only_the_named_pairs_go(scene: Scene) -> None:
    scene.record("anna", kind="interactions", items=("alien", "brazil"))
    assert scene.count("anna") == 1
    assert scene.count("bert") == 3


def test_without_a_model_an_item_goes_with_everything(scene: Scene) -> None:
    scene.record(kind="item", item="alien")
    assert scene.count("anna") == 2
    assert scene.count("bert") == 2
    assert scene.suppressed() == {scene.pseudonyms.item("alien")}


def test_another_tenant_finds_no_request(scene: Scene) -> None:
    request_id = scene.record("anna")
    with unit_of_work(scene.database) as session, pytest.raises(RequestNotFound):
        requests.get(session, "another", request_id)
    with unit_of_work(scene.database) as session, pytest.raises(RequestNotFound):
        requests.cancel(session, "another", request_id)


def test_a_request_nobody_recorded_is_not_found(scene: Scene) -> None:
    with pytest.raises(RequestNotFound):
        scene.see(uuid4())


def test_cancelling_lifts_the_suppression_and_forgets_the_identity(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    scene.cancel(request_id)
    assert scene.see(request_id).state == "cancelled"
    assert scene.suppressed() == set()
    assert scene.count("anna") == 3
    assert scene.lease() is None
    assert scene.ask("SELECT subject FROM deletion_requests") is None
    assert scene.ask("SELECT erased_at FROM erasures") is None


def test_a_subject_stays_suppressed_while_another_request_asks_for_it(scene: Scene) -> None:
    scene.train()
    scene.cancel(scene.record("anna", key="a"))
    scene.record("anna", key="b")
    after = scene.ask("SELECT value FROM clock")
    scene.cancel(scene.record("anna", key="c"))
    assert scene.suppressed() == {scene.pseudonyms.user("anna")}
    assert scene.suppressed(after) == {scene.pseudonyms.user("anna")}


def test_a_request_in_progress_cannot_be_cancelled(scene: Scene) -> None:
    scene.train()
    request_id = scene.record("anna")
    scene.take()
    with pytest.raises(NotCancellable, match="in_progress"):
        scene.cancel(request_id)


def test_of_a_lease_and_a_cancellation_at_once_exactly_one_wins(scene: Scene) -> None:
    scene.train()
    for _ in range(10):
        request_id = scene.record("anna")
        with ThreadPoolExecutor(2) as threads:
            leased = threads.submit(scene.lease)
            cancelled = threads.submit(scene.cancel, request_id)
            lease = leased.result()
        taken = lease is not None and request_id in lease.request_ids
        assert taken == isinstance(cancelled.exception(), NotCancellable)
        assert scene.see(request_id).state == ("in_progress" if taken else "cancelled")
        if lease is not None:
            scene.let_expire(lease)
            scene.sql("UPDATE deletion_requests SET state = 'cancelled'")


def test_pages_list_every_request_once_newest_first(scene: Scene) -> None:
    scene.train()
    recorded = [scene.record(user) for user in ("anna", "bert", "carla", "dora", "anna")]
    seen, cursor = [], None
    while True:
        with unit_of_work(scene.database) as session:
            page = requests.page(session, "shop", cursor=cursor, limit=2)
        seen += [request.id for request in page.requests]
        if page.cursor is None:
            break
        cursor = page.cursor
    assert seen == recorded[::-1]


def test_pages_can_be_narrowed_to_a_state_or_to_the_overdue(scene: Scene) -> None:
    scene.train()
    late, cancelled = scene.record("anna"), scene.record("bert")
    scene.cancel(cancelled)
    scene.sql("UPDATE deletion_requests SET due_at = now() - interval '1 day'")
    with unit_of_work(scene.database) as session:
        overdue = requests.page(session, "shop", overdue=True)
        in_time = requests.page(session, "shop", overdue=False)
        of_state = requests.page(session, "shop", state="cancelled")
        of_another = requests.page(session, "another")
        of_everyone = requests.page(session, None)
    assert [request.id for request in overdue.requests] == [late]
    assert overdue.requests[0].overdue
    assert [request.id for request in in_time.requests] == [cancelled]
    assert [request.id for request in of_state.requests] == [cancelled]
    assert of_another.requests == ()
    assert len(of_everyone.requests) == 2


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1; DROP TABLE runs", "٣", "9" * 40])
def test_a_cursor_nobody_gave_out_is_refused(scene: Scene, cursor: str) -> None:
    with unit_of_work(scene.database) as session, pytest.raises(InvalidCursor):
        requests.page(session, "shop", cursor=cursor)
