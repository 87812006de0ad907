"""The interactions table: import, reading for training, deletion."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import pytest

from alteraser.deletions import Deletions
from alteraser.interaction_log import InteractionLog
from alteraser.interactions import Interactions
from ledger import interactions
from ledger.database import unit_of_work
from ledger.interactions import Imported

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

MANY = 100_000
MANY_MAY_TAKE_S = 20.0
AWKWARD = ('quo"ted', "com,ma", "new\nline", "", "NULL", "tab\t", "émoji 🎬", " space ", "\\N", "007")


def log(pairs: list[tuple[str, str]], times: list[int] | None = None) -> InteractionLog:
    users, items = zip(*pairs, strict=True)
    return InteractionLog(
        np.array(users, dtype=np.object_),
        np.array(items, dtype=np.object_),
        ratings=np.arange(len(pairs), dtype=np.float64),
        times=None if times is None else np.array(times, dtype=np.int64),
    )


def import_(scene: Scene, given: InteractionLog) -> Imported:
    with unit_of_work(scene.database) as session:
        return interactions.import_log(session, given, scene.pseudonyms)


def read(scene: Scene) -> Interactions:
    with unit_of_work(scene.database) as session:
        return interactions.read(session)


def pairs_of(data: Interactions) -> set[tuple[str, str]]:
    return {(user, item) for user in data.users.ids for item in data.items_of(user)}


@pytest.fixture
def emptied(scene: Scene) -> Scene:
    scene.sql("TRUNCATE interactions")
    return scene


def test_what_is_imported_is_what_is_read(emptied: Scene) -> None:
    pairs = [(user, item) for user in AWKWARD for item in AWKWARD[::-1]]
    assert import_(emptied, log(pairs)) == Imported(len(pairs), 0, 0)
    assert pairs_of(read(emptied)) == set(pairs)


def test_what_is_read_does_not_depend_on_the_order_of_import(emptied: Scene) -> None:
    pairs = [(user, item) for user in "abc" for item in "xyz"]
    import_(emptied, log(pairs))
    once = read(emptied).digest()
    emptied.sql("TRUNCATE interactions")
    import_(emptied, log(pairs[::-1]))
    assert read(emptied).digest() == once


def test_an_empty_table_reads_as_no_interactions(emptied: Scene) -> None:
    assert len(read(emptied)) == 0


def test_of_duplicates_the_first_is_kept(emptied: Scene) -> None:
    assert import_(emptied, log([("a", "x"), ("b", "x"), ("a", "x")])) == Imported(2, 1, 0)
    assert import_(emptied, log([("c", "x"), ("a", "x")])) == Imported(1, 1, 0)
    assert emptied.ask("SELECT rating FROM interactions WHERE user_id = 'a'") == 0.0


def test_ratings_and_times_may_be_unknown(emptied: Scene) -> None:
    import_(emptied, InteractionLog(np.array(["a"], dtype=np.object_), np.array(["x"], dtype=np.object_)))
    assert emptied.ask("SELECT rating IS NULL AND event_at IS NULL FROM interactions")


def test_progress_is_told_up_to_the_end(emptied: Scene) -> None:
    told: list[tuple[int, int]] = []
    given = log([(f"u{n}", "x") for n in range(MANY)])
    with unit_of_work(emptied.database) as session:
        interactions.import_log(session, given, emptied.pseudonyms, lambda done, of: told.append((done, of)))
    assert told == [(MANY // 2, MANY), (MANY, MANY)]


def test_a_large_log_is_imported_and_read_in_seconds(emptied: Scene) -> None:
    given = log([(f"user-{n // 100}", f"item-{n % 100}") for n in range(MANY)])
    begun = time.monotonic()
    assert import_(emptied, given).rows == MANY
    assert len(read(emptied)) == MANY
    assert time.monotonic() - begun < MANY_MAY_TAKE_S


def test_training_reads_nothing_that_is_asked_to_be_deleted(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    scene.record("bert", kind="interactions", items=("alien",))
    scene.record(kind="item", item="brazil")
    scene.cancel(scene.record("carla"))
    data = read(scene)
    assert pairs_of(data) == {
        ("bert", "casablanca"),
        ("carla", "alien"),
        ("carla", "casablanca"),
        ("dora", "alien"),
        ("dora", "casablanca"),
    }
    assert "anna" not in data.users
    assert "brazil" not in data.items


def test_deleting_names_users_items_and_pairs_at_once(scene: Scene) -> None:
    deletions = Deletions(frozenset({"anna", "nobody"}), frozenset({"alien"}), frozenset({("bert", "brazil")}))
    with unit_of_work(scene.database) as session:
        assert interactions.held(session, deletions) == replace(deletions, subjects=frozenset({"anna"}))
        assert interactions.delete_rows(session, deletions) == 3 + 3 + 1
        assert interactions.held(session, deletions) == Deletions()
        assert interactions.delete_rows(session, Deletions()) == 0
        assert interactions.count(session, "bert") == 1
        assert interactions.count_item(session, "brazil") == 2
    assert scene.ask("SELECT count(*) FROM interactions") == 5


def test_late_data_of_the_erased_does_not_resurrect_them(scene: Scene) -> None:
    scene.record("anna")
    scene.record(kind="item", item="alien")
    given = [("anna", "brazil"), ("bert", "alien"), ("bert", "zardoz")]
    now = scene.ask("SELECT ceil(extract(epoch FROM now()))::bigint")
    assert import_(scene, log(given, [now - 100] * 3)) == Imported(1, 0, 2)
    assert import_(scene, log(given[:2])) == Imported(0, 0, 2)
    assert scene.count("anna") == 0
    assert import_(scene, log(given[:2], [now + 100] * 2)) == Imported(2, 0, 0)


def test_an_import_beside_a_publish_does_not_resurrect_anyone(scene: Scene) -> None:
    scene.train()
    scene.record("anna")
    lease = scene.take()
    imported, may_commit = Event(), Event()

    def import_slowly() -> None:
        with unit_of_work(scene.database) as session:
            interactions.import_log(session, log([("anna", "zardoz")]), scene.pseudonyms)
            imported.set()
            may_commit.wait(10)

    with ThreadPoolExecutor(2) as threads:
        importing = threads.submit(import_slowly)
        imported.wait(10)
        publishing = threads.submit(scene.publish, lease)
        may_commit.set()
        importing.result()
        publishing.result()
    assert scene.count("anna") == 0
