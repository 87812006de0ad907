"""Sums over the history are those over all rows, however they were come by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from ledger.database import unit_of_work
from ledger.history import BOUNDS_S, History, Sums
from tests.integration.ledger.conftest import Scene


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    """A history that does not wait until whatever runs began long ago must have been committed: here they have."""
    monkeypatch.setattr("ledger.history.COMMITTED_WITHIN", timedelta(0))
    return History()


def read(scene: Scene, history: History) -> Sums:
    with unit_of_work(scene.database) as session:
        return history.read(session)


def complete_next(scene: Scene) -> None:
    digest = scene.publish(scene.take())
    scene.acknowledge(digest)
    scene.destroy()
    for request_id in scene.completable():
        assert scene.complete(request_id) is None


def spent(scene: Scene) -> str:
    """Make every completed request have taken half a second to be unlearned."""
    scene.sql("UPDATE deletion_requests SET unlearned_at = recorded_at + interval '0.4 s' WHERE state = 'completed'")
    return "unlearned"


def test_an_empty_ledger_has_no_history(scene: Scene, history: History) -> None:
    assert read(scene, history) == Sums()
    assert read(scene, history) == Sums()


def test_every_request_and_run_is_counted_where_it_got_to(scene: Scene, history: History) -> None:
    scene.train()
    scene.cancel(scene.record("anna"))
    scene.record("bert")
    complete_next(scene)
    clock = spent(scene)
    scene.record("carla")
    lease = scene.take()
    scene.fail(lease)
    scene.record("dora")
    sums = read(scene, history)
    assert sums.states == {"cancelled": 1, "completed": 1, "failed": 1, "pending": 1}
    assert sums.attempts == 2
    bucket = next(number for number, bound in enumerate(BOUNDS_S) if bound > 0.4)
    assert sums.clocks[clock].buckets[bucket] == 1
    assert sums.clocks[clock].took == timedelta(seconds=0.4)
    assert sum(sums.clocks["completed"].buckets) == 1
    outcomes = {names: sum(durations.buckets) for names, durations in sums.runs.items()}
    assert outcomes == {
        ("main", "train", "published"): 1,
        ("main", "unlearn", "published"): 1,
        ("main", "unlearn", "failed"): 1,
    }
    assert sums.certified == {"main": 2}
    assert not +sums.uncertified


def test_a_history_that_is_continued_says_what_a_new_one_says(scene: Scene, history: History) -> None:
    scene.train()
    for person in ("anna", "bert", "carla"):
        scene.record(person)
        assert read(scene, history) == read(scene, History())
        lease = scene.take()
        assert read(scene, history) == read(scene, History())
        scene.acknowledge(scene.publish(lease))
        assert read(scene, history) == read(scene, History())
        scene.destroy()
        for request_id in scene.completable():
            scene.complete(request_id)
        assert read(scene, history) == read(scene, History())


def test_a_run_that_awaits_its_certificate_is_counted_again_when_it_has_it(scene: Scene, history: History) -> None:
    scene.train()
    scene.record("anna")
    scene.publish(scene.take(), certified=False)
    assert read(scene, history).certified == {"main": 1}
    scene.certify()
    assert read(scene, history).certified == {"main": 2}


def test_what_was_added_up_is_not_read_again(scene: Scene, history: History) -> None:
    scene.train()
    scene.cancel(scene.record("anna"))
    read(scene, history)
    with readings(scene) as asked:
        read(scene, history)
    assert [sequences_in(each) for each in asked] == [[]]


def test_one_open_request_does_not_have_all_after_it_read_again(scene: Scene, history: History) -> None:
    scene.train()
    still_open = scene.record("anna")
    sequence = scene.ask("SELECT sequence FROM deletion_requests")
    for person in ("bert", "carla", "dora"):
        scene.cancel(scene.record(person))
    assert read(scene, history).states == {"pending": 1, "cancelled": 3}
    with readings(scene) as asked:
        assert read(scene, history).states == {"pending": 1, "cancelled": 3}
    assert [sequences_in(each) for each in asked] == [[sequence]]
    scene.cancel(still_open)
    assert read(scene, history).states == {"cancelled": 4}
    assert read(scene, history) == read(scene, History())


def test_a_long_history_is_read_in_pieces_and_a_reading_that_fails_is_continued(
    scene: Scene, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.train()
    for person in ("anna", "bert", "carla", "dora"):
        scene.cancel(scene.record(person))
    whole = read(scene, History())
    monkeypatch.setattr("ledger.history.AT_ONCE", 2)
    with readings(scene) as asked:
        assert read(scene, History()) == whole
    with pytest.raises(TimeoutError), readings(scene, fails_at=2):
        read(scene, history)
    with readings(scene) as asked_after:
        assert read(scene, history) == whole
    assert len(asked) > 3
    assert asked_after == asked[1:]


@contextmanager
def readings(scene: Scene, fails_at: int = 0) -> Iterator[list[dict[str, Any]]]:
    """The bound values of every statement that adds up requests; one of them, counted from 1, may fail."""
    asked: list[dict[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: dict[str, Any], *_: object) -> None:
        if "width_bucket(deletion_requests" in statement:
            asked.append(parameters)
            if len(asked) == fails_at:
                raise TimeoutError

    event.listen(scene.database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(scene.database.engine, "before_cursor_execute", note)


def sequences_in(asked: dict[str, Any]) -> list[int]:
    """The sequences that a statement names; the bounds of the buckets are a list as well."""
    (named,) = (each for each in asked.values() if isinstance(each, list) and timedelta not in map(type, each))
    return list(named)


def test_a_restored_ledger_is_another_one(scene: Scene, history: History) -> None:
    scene.train()
    scene.cancel(scene.record("anna"))
    assert read(scene, history).states == {"cancelled": 1}
    scene.sql("ALTER TABLE log_entries DISABLE TRIGGER ALL")
    scene.sql("DELETE FROM log_entries WHERE index = (SELECT max(index) FROM log_entries)")
    scene.sql("UPDATE deletion_requests SET state = 'pending', cancelled_at = NULL")
    assert read(scene, history).states == {"pending": 1}
