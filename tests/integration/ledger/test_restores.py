"""Journal and ledger compared: nothing is noticed where nothing was lost, what was is recorded again as it stood."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from ledger import clock, journal_lines, restores
from ledger.database import unit_of_work
from ledger.errors import JournalAway
from ledger.journal import Journal
from ledger.log import salts
from ledger.recording import NewRequest
from ledger.restores import RestoreGuard
from tests.integration.ledger.test_locks import when_waiting
from tests.integration.ledger.test_recording import counted, record_all

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

N_WRITERS, PER_WRITER = 3, 8
N_LOOKERS, LOOKS = 2, 12
MANY = 300
LOST = ("callback_urls", "receipts", "request_models", "erasures", "subject_salts", "deletion_requests")
ASKED = (
    "SELECT id, tenant, key_digest, payload_digest, kind, subject, payload, subject_hmac, recorded_at, due_at, state,"
    " suppressed_at FROM deletion_requests ORDER BY sequence"
)
SUPPRESSED = (
    "SELECT request_id, active AND e.subject_hmac = r.subject_hmac AND e.sequence = r.sequence AND changed = r.sequence"
    " AND (scope = 'item') = (kind = 'item')"
    " AND erased_at IS NOT DISTINCT FROM CASE WHEN kind <> 'interactions' THEN recorded_at END"
    " FROM erasures AS e JOIN deletion_requests AS r ON r.id = request_id ORDER BY e.sequence"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def journal(scene: Scene, folder: Path) -> Journal:
    return Journal(folder, scene.pseudonyms)


def guard(scene: Scene, folder: Path) -> RestoreGuard:
    """The guard of a process that has just started."""
    return RestoreGuard(scene.database, journal(scene, folder), scene.pseudonyms)


def lose(scene: Scene) -> None:
    """Let the database be one from before every request."""
    for table in LOST:
        scene.sql(f"DELETE FROM {table}")  # noqa: S608
    scene.sql("UPDATE clock SET value = 0")


def rows(scene: Scene, question: str) -> list[tuple[Any, ...]]:
    with unit_of_work(scene.database) as session:
        return [tuple(row) for row in session.execute(text(question))]


def recorded(scene: Scene, news: Sequence[NewRequest]) -> list[UUID]:
    return [each.request_id for each in record_all(scene, news)]


def of_every_kind() -> list[NewRequest]:
    """Two tenants' requests of all three kinds, with and without keys, three of them about one user."""
    return [
        NewRequest("shop", "subject", "dora", key="k", due_days=3),
        NewRequest("other", "interactions", "anna", items=("brazil", "alien"), key="k"),
        NewRequest("shop", "item", item="casablanca", reason="recalled"),
        NewRequest("shop", "interactions", "anna", items=("casablanca",)),
        NewRequest("other", "subject", "anna", callback_urls=("https://shop.example/told",)),
    ]


def again(scene: Scene) -> list[dict[str, Any]]:
    """What the log says was recorded again, in its order."""
    entries = [json.loads(entry) for (entry,) in rows(scene, "SELECT entry FROM log_entries ORDER BY index")]
    return [entry for entry in entries if entry["event"] == "request_recorded_again"]


def test_a_ledger_that_others_write_to_is_never_taken_for_a_restored_one(scene: Scene, folder: Path) -> None:
    scene.stock((f"u{n}", "alien") for n in range(N_WRITERS * PER_WRITER))

    def write(writer: int) -> bool:
        mine = journal(scene, folder)
        for n in range(PER_WRITER):
            request_id = scene.record(f"u{writer * PER_WRITER + n}")
            with unit_of_work(scene.database) as session:
                lines = journal_lines.recorded(session, [request_id], scene.pseudonyms)
            mine.append(lines)
        return True

    def look(looker: int) -> bool:
        old = guard(scene, folder)
        return all(old.look() is None and guard(scene, folder).look() is None for _ in range(LOOKS + looker))

    with ThreadPoolExecutor(N_WRITERS + N_LOOKERS) as threads:
        done = [*threads.map(write, range(N_WRITERS)), *threads.map(look, range(N_LOOKERS))]
    assert all(done)
    book = journal(scene, folder).read()
    assert (len(book.recorded), book.through, book.damaged) == (N_WRITERS * PER_WRITER, 0, [])


def test_what_a_dead_process_did_not_write_is_written_by_the_next(scene: Scene, folder: Path) -> None:
    scene.train()
    request_id = scene.record("anna", kind="interactions", items=("alien",))
    cancelled = scene.record("bert")
    scene.cancel(cancelled)
    assert guard(scene, folder).look() is None
    book = journal(scene, folder).read()
    assert set(book.recorded) == {request_id, cancelled}
    assert book.cancelled == {cancelled}
    line = journal(scene, folder).line(request_id)
    assert line["pairs"] == [scene.pseudonyms.pair("anna", "alien")]
    assert UUID(line["request"]) == request_id
    n_lines = book.n_lines
    assert guard(scene, folder).look() is None
    assert journal(scene, folder).read().n_lines == n_lines


def test_new_requests_and_generations_get_their_lines_once(scene: Scene, folder: Path) -> None:
    scene.train()
    process = guard(scene, folder)
    scene.record("anna")
    assert process.journal_new() == 2 - (scene.ask("SELECT watermark FROM models") == 0)
    assert process.journal_new() == 0
    scene.publish(scene.take())
    assert process.journal_new() == 1
    watermark = scene.ask("SELECT watermark FROM models")
    assert process.journal.read().floors().of("main") == watermark


def test_an_idempotency_key_that_came_again_meanwhile_does_not_hold_up_the_restore(scene: Scene, folder: Path) -> None:
    first = scene.record("anna", key="k")
    assert guard(scene, folder).look() is None
    for table in ("request_models", "erasures", "deletion_requests"):
        scene.sql(f"DELETE FROM {table}")  # noqa: S608
    scene.stock([("anna", "alien")])
    second = scene.record("anna", key="k")
    scene.stock([("anna", "alien")])
    found = guard(scene, folder).look()
    assert found is not None
    assert found.missing == (first,)
    assert scene.see(first).state == scene.see(second).state == "unlearned"
    assert scene.count("anna") == 0


@pytest.mark.parametrize("at_once", [2, restores.AT_ONCE])
def test_what_is_recorded_again_stands_as_it_stood_but_for_its_place(
    scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(restores, "AT_ONCE", at_once)
    scene.train()
    request_ids = recorded(scene, of_every_kind())
    scene.cancel(scene.record("bert"))
    assert guard(scene, folder).look() is None
    stood = [row for row in rows(scene, ASKED) if row[0] in request_ids]
    highest = journal(scene, folder).read().highest
    lose(scene)
    found = guard(scene, folder).look()
    assert found is not None
    assert list(found.missing) == request_ids
    assert rows(scene, ASKED) == stood
    assert rows(scene, SUPPRESSED) == [(request_id, True) for request_id in request_ids]
    sequences = [sequence for (sequence,) in rows(scene, "SELECT sequence FROM deletion_requests ORDER BY sequence")]
    assert sequences == list(range(highest + 2, highest + 7))
    assert scene.ask("SELECT value FROM clock") == journal(scene, folder).read().through == sequences[-1]
    assert [entry["request"] for entry in again(scene)] == list(map(str, request_ids))
    assert [entry["sequence"] for entry in again(scene)] == sequences
    assert len({entry["subject"] for entry in again(scene)}) == 3
    assert scene.take().request_ids == tuple(request_ids)


def test_what_was_lost_is_recorded_again_once_however_many_look(scene: Scene, folder: Path) -> None:
    scene.train()
    request_ids = recorded(scene, of_every_kind())
    assert guard(scene, folder).look() is None
    lose(scene)
    guards = [guard(scene, folder) for _ in range(N_LOOKERS)]
    with ThreadPoolExecutor(N_LOOKERS) as threads:
        assert any(threads.map(RestoreGuard.look, guards))
    assert [row[0] for row in rows(scene, ASKED)] == request_ids
    assert len(again(scene)) == len(request_ids)
    assert guard(scene, folder).look() is None


def test_what_no_data_is_left_of_is_recorded_again_without_an_identity(scene: Scene, folder: Path) -> None:
    scene.train()
    request_ids = recorded(scene, of_every_kind())
    assert guard(scene, folder).look() is None
    lose(scene)
    scene.sql("DELETE FROM interactions WHERE user_id = 'dora' OR item_id = 'brazil'")
    assert guard(scene, folder).look() is not None
    named = "SELECT subject, payload FROM deletion_requests ORDER BY sequence LIMIT 2"
    assert rows(scene, named) == [(None, None), ("anna", {"items": ["alien"]})]
    assert scene.publish(scene.take())
    assert scene.see(request_ids[0]).state == "unlearned"


def test_without_a_model_what_is_recorded_again_is_done_at_once(scene: Scene, folder: Path) -> None:
    request_ids = recorded(scene, of_every_kind()[:2])
    assert guard(scene, folder).look() is None
    lose(scene)
    scene.stock([("dora", "alien"), ("anna", "alien")])
    assert guard(scene, folder).look() is not None
    assert rows(scene, "SELECT id, state FROM deletion_requests ORDER BY sequence") == [
        (request_id, "unlearned") for request_id in request_ids
    ]
    assert (scene.count("dora"), scene.count("anna")) == (0, 1)
    assert scene.ask("SELECT count(*) FROM erasures WHERE erased_at IS NULL") == 1


def test_a_completed_request_is_done_again_and_gets_a_new_receipt(scene: Scene, folder: Path) -> None:
    scene.acknowledge(scene.train())
    request_id = scene.record("anna")
    assert guard(scene, folder).look() is None
    scene.acknowledge(scene.publish(scene.take()))
    scene.destroy()
    assert scene.complete(request_id) is None
    assert guard(scene, folder).look() is None
    lose(scene)
    scene.stock([("anna", "alien")])
    assert guard(scene, folder).look() is not None
    assert scene.see(request_id).state == "pending"
    assert scene.suppressed() == {scene.pseudonyms.user("anna")}
    scene.acknowledge(scene.publish(scene.take()))
    scene.destroy()
    assert scene.complete(request_id) is None
    assert scene.ask("SELECT count(*) FROM receipts") == 1
    assert not scene.count("anna")


def test_of_two_lines_with_one_key_the_first_keeps_it(
    scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.train()
    scene.record("anna", key="k")
    assert guard(scene, folder).look() is None
    lose(scene)
    scene.sql("UPDATE clock SET value = 100")
    scene.record("anna", key="k")
    assert guard(scene, folder).look() is not None
    for at_once in (1, 2):
        lose(scene)
        monkeypatch.setattr(restores, "AT_ONCE", at_once)
        assert guard(scene, folder).look() is not None
        assert rows(scene, "SELECT key_digest IS NULL FROM deletion_requests ORDER BY sequence") == [(False,), (True,)]


def test_a_restore_is_made_good_wholly_or_not_at_all(
    scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restores, "AT_ONCE", 2)
    scene.train()
    recorded(scene, of_every_kind())
    running = guard(scene, folder)
    assert running.look() is None
    lose(scene)
    with monkeypatch.context() as away:
        away.setattr(Journal, "append", unwritable)
        with pytest.raises(JournalAway):
            guard(scene, folder).look()
    assert rows(scene, ASKED) == []
    assert again(scene) == []
    assert scene.ask("SELECT value FROM clock") == 0
    assert running.look() is not None
    assert len(again(scene)) == len(of_every_kind())


def unwritable(self: Journal, lines: Sequence[object]) -> None:
    del lines
    raise JournalAway(self.path, "it is away")


def test_many_are_recorded_again_with_as_many_statements_as_two(scene: Scene, folder: Path) -> None:
    scene.train()
    users = [f"user-{number}" for number in range(MANY)]
    scene.stock((user, "alien") for user in users)
    n_statements = []
    for asked in (users[:2], users):
        record_all(scene, [NewRequest("shop", "subject", user) for user in asked])
        folder = folder.with_name(uuid4().hex)
        assert guard(scene, folder).look() is None
        lose(scene)
        with counted(scene) as sent:
            assert guard(scene, folder).look() is not None
        n_statements.append(len(sent))
        lose(scene)
    assert n_statements[0] == n_statements[1]


def test_a_restore_waits_for_requests_before_it_holds_the_clock(scene: Scene, folder: Path) -> None:
    scene.train()
    cancelled, ended = scene.record("anna"), scene.record("bert")
    scene.cancel(ended)
    mine = journal(scene, folder)
    assert guard(scene, folder).look() is None
    mine.append([journal_lines.cancelled(cancelled), journal_lines.forgotten("user", scene.pseudonyms.user("bert"))])
    with ThreadPoolExecutor(1) as threads:
        with unit_of_work(scene.database) as session:
            session.execute(text("SELECT FROM deletion_requests WHERE id = :id FOR UPDATE"), {"id": ended})
            looking = when_waiting(scene, guard(scene, folder).look, threads)
            clock.tick(session)
        assert looking.result() is not None
    assert scene.see(cancelled).state == "cancelled"
    assert scene.see(ended).subject_hmac == salts.FORGOTTEN
