"""Recording many requests at once: as if they came one after the other, all or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from ledger import completion, recording, sweep
from ledger.database import unit_of_work
from ledger.errors import KeyReused, LinesRefused, UnknownSubject
from ledger.recording import NewRequest, Recorded

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

MANY = 1000


def asked(user: str, **more: Any) -> NewRequest:
    return NewRequest("shop", "subject", user, **more)


def record_all(scene: Scene, news: Sequence[NewRequest]) -> list[Recorded]:
    with unit_of_work(scene.database) as session:
        return recording.record_all(session, news, scene.pseudonyms)


def sequences(scene: Scene, recorded: Sequence[Recorded]) -> list[int]:
    return [scene.see(each.request_id).sequence for each in recorded]


def test_a_batch_is_recorded_in_its_order_and_every_subject_suppressed(scene: Scene) -> None:
    scene.train()
    recorded = record_all(scene, [asked("dora"), asked("anna"), NewRequest("shop", "item", item="alien")])
    assert [each.replayed for each in recorded] == [False] * 3
    assert sequences(scene, recorded) == sorted(sequences(scene, recorded))
    assert scene.suppressed() == {
        scene.pseudonyms.user("dora"),
        scene.pseudonyms.user("anna"),
        scene.pseudonyms.item("alien"),
    }
    assert {scene.see(each.request_id).models[0].state for each in recorded} == {"pending"}
    assert scene.take().request_ids == tuple(each.request_id for each in recorded)


def test_a_batch_that_comes_again_replays_every_line(scene: Scene) -> None:
    scene.train()
    news = [asked(user, key=f"key-{user}") for user in ("anna", "bert")]
    first, again = record_all(scene, news), record_all(scene, news)
    assert [each.request_id for each in again] == [each.request_id for each in first]
    assert all(each.replayed for each in again)
    assert scene.ask("SELECT count(*) FROM deletion_requests") == 2


def test_of_two_lines_with_one_key_and_one_body_the_second_replays_the_first(scene: Scene) -> None:
    scene.train()
    first, other, second = record_all(scene, [asked("anna", key="k"), asked("bert"), asked("anna", key="k")])
    assert (second.request_id, second.replayed) == (first.request_id, True)
    assert (first.replayed, other.replayed) == (False, False)
    assert scene.ask("SELECT count(*) FROM deletion_requests") == 2


def test_lines_without_a_key_are_requests_of_their_own_though_they_say_the_same(scene: Scene) -> None:
    scene.train()
    first, second = record_all(scene, [asked("anna"), asked("anna")])
    assert first.request_id != second.request_id
    assert scene.ask("SELECT count(*) FROM subject_salts") == 1


def test_one_key_may_name_two_requests_of_two_tenants(scene: Scene) -> None:
    scene.train()
    ours, theirs = record_all(scene, [asked("anna", key="k"), NewRequest("other", "subject", "anna", key="k")])
    assert ours.request_id != theirs.request_id


def test_a_line_that_cannot_be_recorded_keeps_all_out_and_every_such_line_is_named(scene: Scene) -> None:
    scene.train()
    clock = scene.ask("SELECT value FROM clock")
    scene.record("anna", key="old")
    news = [
        asked("bert"),
        asked("nobody-knows-me"),
        asked("carla", key="k"),
        asked("bert", key="k"),
        asked("bert", key="old"),
        NewRequest("shop", "interactions", "anna", items=("nobody-knows-me",)),
    ]
    with pytest.raises(LinesRefused) as refused:
        record_all(scene, news)
    assert {number: type(fault) for number, fault in refused.value.faults.items()} == {
        1: UnknownSubject,
        3: KeyReused,
        4: KeyReused,
        5: UnknownSubject,
    }
    assert scene.ask("SELECT count(*) FROM deletion_requests") == 1
    assert scene.ask("SELECT value FROM clock") == clock + 1
    assert "nobody-knows-me" not in str(refused.value)


def test_without_a_model_everything_of_a_batch_goes_at_once(scene: Scene) -> None:
    recorded = record_all(scene, [asked("anna"), NewRequest("shop", "interactions", "bert", items=("alien",))])
    assert {scene.see(each.request_id).state for each in recorded} == {"unlearned"}
    assert (scene.count("anna"), scene.count("bert")) == (0, 2)


@contextmanager
def counted(scene: Scene) -> Iterator[list[str]]:
    """Every statement that is sent while the block runs."""
    sent: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(scene.database.engine, "before_cursor_execute", count)
    try:
        yield sent
    finally:
        event.remove(scene.database.engine, "before_cursor_execute", count)


def forget(scene: Scene, users: Sequence[str]) -> tuple[int, int]:
    """Have these users forgotten, from the recording to the receipts; how many statements both take."""
    scene.stock((user, "alien") for user in users)
    with counted(scene) as recording_them:
        recorded = record_all(scene, [asked(user, key=user) for user in users])
    lease = scene.take()
    assert len(lease.request_ids) == len(users)
    scene.publish(lease)
    with unit_of_work(scene.database) as session:
        assert sweep.suppress_without_replicas(session, 10.0) == len(users)
    scene.destroy()
    ready = scene.completable()
    with counted(scene) as completing, unit_of_work(scene.database) as session:
        done = completion.complete(session, ready, scene.signer, 10.0)
    assert list(done.completed) == [each.request_id for each in recorded]
    assert done.deferred == {}
    return len(recording_them), len(completing)


def test_a_thousand_requests_are_recorded_and_completed_with_as_many_statements_as_two(scene: Scene) -> None:
    scene.train()
    few = forget(scene, ["first", "second"])
    many = forget(scene, [f"user-{number}" for number in range(MANY)])
    assert many == few
    assert scene.ask("SELECT count(*) FROM receipts") == MANY + 2
    assert scene.ask("SELECT count(DISTINCT jti) FROM receipts") == MANY + 2
    assert not scene.suppressed()
