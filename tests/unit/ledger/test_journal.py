"""The journal: whole lines on the disk, one writer at a time, and every change noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ledger import journal_lines
from ledger.errors import JournalAway
from ledger.journal import Facts, Journal
from ledger.journal_lines import sealed
from ledger.pseudonym import Pseudonyms
from ledger.receipts import SigningKey, jwks
from ledger.seals import false_seals

PSEUDONYMS = Pseudonyms(bytes(32))
N_THREADS, PER_THREAD = 8, 25
MANY = 10_000


def line(sequence: int = 1, request_id: UUID | None = None) -> Facts:
    return {"event": "recorded", "request": request_id or uuid4(), "sequence": sequence, "subject": "b2c4"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal", PSEUDONYMS)


def again(journal: Journal) -> Journal:
    """The same journal, as another process sees it."""
    return Journal(journal.path.parent, PSEUDONYMS)


def test_what_is_appended_is_read_by_every_process(journal: Journal) -> None:
    other = again(journal)
    assert other.read().n_lines == 0
    ids = [uuid4(), uuid4()]
    journal.append([line(3, ids[0]), journal_lines.cancelled(ids[1]), journal_lines.published("main", "c", 7)])
    other.append([journal_lines.completed([ids[0]])])
    for each in (journal, other, again(journal)):
        book = each.read()
        assert list(book.recorded) == [ids[0]]
        assert (book.cancelled, book.completed) == ({ids[1]}, {ids[0]})
        assert (book.floors().of("main"), book.floors().of("other"), book.highest) == (7, 0, 7)
        assert (book.n_lines, book.torn, book.damaged) == (4, [], [])
    assert other.line(ids[0])["subject"] == "b2c4"


def test_many_threads_and_processes_write_whole_lines_in_one_chain(journal: Journal) -> None:
    writers = [again(journal) for _ in range(N_THREADS)]
    script = (
        "import sys, uuid; from pathlib import Path; from ledger.journal import Journal; "
        "from ledger.pseudonym import Pseudonyms; journal = Journal(Path(sys.argv[1]), Pseudonyms(bytes(32)))\n"
        f"for n in range({PER_THREAD}): journal.append([{{'event': 'cancelled', 'request': uuid.uuid4()}}])"
    )
    other = subprocess.Popen([sys.executable, "-c", script, str(journal.path.parent)])
    with ThreadPoolExecutor(N_THREADS) as threads:
        list(threads.map(lambda n: writers[n % N_THREADS].append([line(n)]), range(N_THREADS * PER_THREAD)))
    assert other.wait(120) == 0
    book = journal.read()
    assert (book.n_lines, book.torn, book.damaged) == ((N_THREADS + 1) * PER_THREAD, [], [])
    assert len(book.recorded) == N_THREADS * PER_THREAD
    assert len(book.cancelled) == PER_THREAD


def test_ten_thousand_lines_are_one_write(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    monkeypatch.setattr("ledger.journal._write", lambda *given: writes.append(given[1].count(b"\n")))
    journal.append([line(n) for n in range(MANY)])
    assert writes == [MANY]


def test_a_line_that_a_crash_cut_off_is_reported_and_written_over_by_nobody(journal: Journal) -> None:
    journal.append([line(1), line(2)])
    content = journal.path.read_bytes()
    journal.path.write_bytes(content[:-20])
    survivor = again(journal)
    assert (survivor.read().n_lines, survivor.read().damaged) == (1, [])
    survivor.append([line(3)])
    book = again(journal).read()
    assert (book.n_lines, book.torn, book.damaged, len(book.recorded)) == (3, [2], [], 2)
    assert journal.path.read_bytes().startswith(content[:-20])


def test_a_changed_line_is_noticed_and_not_believed(journal: Journal) -> None:
    journal.append([line(1), line(2), line(3)])
    lines = journal.path.read_text().splitlines()
    lines[1] = lines[1].replace('"sequence":2', '"sequence":9')
    journal.path.write_text("\n".join(lines) + "\n")
    book = again(journal).read()
    assert (book.damaged, len(book.recorded), book.highest) == ([2], 2, 3)


def test_a_removed_line_is_noticed(journal: Journal) -> None:
    journal.append([line(1), line(2), line(3)])
    lines = journal.path.read_text().splitlines()
    journal.path.write_text("\n".join([lines[0], lines[2]]) + "\n")
    assert again(journal).read().damaged == [2]


def test_a_forged_line_is_noticed(journal: Journal) -> None:
    journal.append([line(1)])
    forger = Journal(journal.path.parent, Pseudonyms(bytes([1]) * 32))
    forger.append([line(2)])
    assert again(journal).read().damaged == [2]


def test_a_seal_signs_all_lines_before_it(journal: Journal, tmp_path: Path) -> None:
    key = SigningKey.create(tmp_path / "secrets")
    journal.append([line(1)])
    journal.append([sealed(journal.last_mac(), "note", key)])
    keys = jwks(tmp_path / "secrets")
    assert false_seals(journal, keys) == []
    lines = journal.path.read_text().splitlines()
    first = json.loads(lines[0])
    first["mac"] = "0" * 64
    journal.path.write_text("\n".join([json.dumps(first), lines[1]]) + "\n")
    assert false_seals(journal, keys) == [2]


def test_a_journal_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file where the folder should be")
    with pytest.raises(JournalAway):
        Journal(tmp_path / "journal", PSEUDONYMS).append([line()])


def test_the_journal_is_readable_by_its_owner_only(journal: Journal) -> None:
    journal.append([line()])
    assert journal.path.stat().st_mode & 0o077 == 0
