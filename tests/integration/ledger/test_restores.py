"""Journal and ledger compared: nothing is noticed where nothing was lost, and what has no line gets one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from ledger import journal_lines
from ledger.database import unit_of_work
from ledger.journal import Journal
from ledger.restores import RestoreGuard

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

N_WRITERS, PER_WRITER = 3, 8
N_LOOKERS, LOOKS = 2, 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def journal(scene: Scene, folder: Path) -> Journal:
    return Journal(folder, scene.pseudonyms)


def guard(scene: Scene, folder: Path) -> RestoreGuard:
    """The guard of a process that has just started."""
    return RestoreGuard(scene.database, journal(scene, folder), scene.pseudonyms)


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
