"""Restores: the ledger compared with the erasure journal, and what the ledger has lost recorded again.

A database restored from a backup knows less than the journal: requests are missing, completed ones are open again, or
its clock and watermarks are lower. What is missing is recorded again under the same ids, with its subjects found by
hashing every stored id; from then on it is a pending request like any other, suppressed first and unlearned next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger import clock, journal_lines, recording, requests
from ledger.among import among
from ledger.database import Database, unit_of_work
from ledger.deletions import scope_of
from ledger.errors import SubjectInUse
from ledger.journal import Book, Facts, Floors, Journal
from ledger.log import salts
from ledger.log.entries import enter
from ledger.pseudonym import Pseudonyms
from ledger.recording import RequestRow
from ledger.states import lock_in_order
from ledger.tables import Clock, DeletionRequest, Interaction, Model

AT_ONCE = 1_000
"""Lines of the journal that are recorded again with one set of statements."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """How the ledger and the journal differ.

    Attributes:
        missing: Requests that the ledger does not know.
        reopened: Requests whose receipt was issued, and that are open here.
        uncancelled: Requests that were cancelled, and are pending here.
        unjournaled: Requests that the journal does not know: the process that recorded them died before it wrote.
        untold: What else the journal was not told, for the same reason, as its lines.
        behind: Models whose watermark is lower than one that was published since the last restore.
        is_clock_behind: Whether the erasure clock stands lower than it did.
    """

    missing: tuple[UUID, ...] = ()
    reopened: tuple[UUID, ...] = ()
    uncancelled: tuple[UUID, ...] = ()
    unjournaled: tuple[UUID, ...] = ()
    untold: tuple[Facts, ...] = ()
    behind: frozenset[str] = frozenset()
    is_clock_behind: bool = False

    @property
    def is_restored(self) -> bool:
        """Whether the ledger knows less than the journal."""
        lost = self.missing or self.reopened or self.uncancelled or self.behind
        return bool(lost) or self.is_clock_behind


@dataclass(slots=True)
class RestoreGuard:
    """Notices at start, and whenever the ledger steps back later, that it was restored; and makes that good.

    Attributes:
        database: The ledger.
        journal: What must stay erased.
        pseudonyms: Who is who.
    """

    database: Database
    journal: Journal
    pseudonyms: Pseudonyms
    _compared: bool = field(default=False, init=False)
    _through: int = field(default=0, init=False)
    _n_damaged: int = field(default=0, init=False)

    @property
    def has_compared(self) -> bool:
        """Whether journal and ledger were compared since the process started."""
        return self._compared

    def look(self) -> Divergence | None:
        """Compare where there is reason to; what had been lost, None where nothing had.

        Raises:
            SQLAlchemyError: The ledger cannot be read; nothing may be served before it was.
            JournalAway: What was found cannot be kept.
        """
        if self._compared and not self._has_stepped_back():
            return None
        book = self.journal.copy()
        with unit_of_work(self.database) as session:
            found = compare(session, book)
        if found.is_restored:
            with unit_of_work(self.database) as session:
                reapply(session, found, self.journal, self.pseudonyms)
        self._complete_journal(found)
        self._compared = True
        return found if found.is_restored else None

    def new_damage(self) -> list[int]:
        """Numbers of the journal's lines that were found not to verify since the last call."""
        damaged = self.journal.read().damaged
        new, self._n_damaged = damaged[self._n_damaged :], len(damaged)
        return new

    def journal_new(self) -> int:
        """Write what has no line yet: requests whose process died before it wrote, and new generations; how many."""
        book = self.journal.read()
        newer = select(DeletionRequest.id, DeletionRequest.sequence).where(DeletionRequest.sequence > self._through)
        with unit_of_work(self.database) as session:
            new = session.execute(newer.order_by(DeletionRequest.sequence)).all()
            unknown = [request_id for request_id, _ in new if request_id not in book.recorded]
            lines = journal_lines.recorded(session, unknown, self.pseudonyms)
            lines += _published(session, book)
        self.journal.append(lines)
        self._through = max([self._through, *(sequence for _, sequence in new)])
        return len(lines)

    def _has_stepped_back(self) -> bool:
        """Whether the ledger's clock or a watermark is lower than the journal, read before, says."""
        book = self.journal.read()
        highest, floors, fresh = book.highest, book.floors(), frozenset(book.fresh)
        with unit_of_work(self.database) as session:
            is_behind = any(model.name in fresh for model in behind(session, floors))
            return is_behind or clock.reading(session) < highest

    def _complete_journal(self, found: Divergence) -> None:
        """Write the lines whose process died before it did."""
        with unit_of_work(self.database) as session:
            lines = journal_lines.recorded(session, found.unjournaled, self.pseudonyms)
        self.journal.append([*lines, *found.untold])


def compare(session: Session, book: Book) -> Divergence:
    """How the ledger differs from the journal, a copy of which was made before this transaction began."""
    states = session.execute(select(DeletionRequest.id, DeletionRequest.state))
    known = {request_id: state for request_id, state in states}  # noqa: C416 (a row is no pair to the checker)
    recorded = list(book.recorded)
    return Divergence(
        missing=tuple(each for each in recorded if each not in known and each not in book.cancelled),
        reopened=tuple(each for each in book.completed if known.get(each, "completed") != "completed"),
        uncancelled=tuple(each for each in book.cancelled if known.get(each) == "pending"),
        unjournaled=tuple(each for each in known if each not in book.recorded),
        untold=tuple(_untold(session, book, known)),
        behind=frozenset(model.name for model in behind(session, book.floors()) if model.name in book.fresh),
        is_clock_behind=clock.reading(session) < book.highest,
    )


def _untold(session: Session, book: Book, known: Mapping[UUID, str]) -> Iterator[Facts]:
    """What happened to requests and models that has no line yet."""
    states = known.items()
    completed = [each for each, state in states if state == "completed" and each not in book.completed]
    if completed:
        yield journal_lines.completed(completed)
    for each, state in states:
        if state == "cancelled" and each not in book.cancelled:
            yield journal_lines.cancelled(each)
    yield from _published(session, book)


def _published(session: Session, book: Book) -> Iterator[Facts]:
    """The models whose watermark is higher than the journal knows."""
    for model in session.scalars(select(Model).where(Model.current.is_not(None))):
        if model.watermark > book.watermarks.get(model.name, 0):
            yield journal_lines.published(model.name, model.current or "", model.watermark)


def behind(session: Session, floors: Floors) -> list[Model]:
    """The models whose watermark is lower than one that was published, or than what a restore requires.

    The floors are to be read before the transaction begins: what was published since then is not behind.
    """
    models = session.scalars(select(Model).where(Model.current.is_not(None)).order_by(Model.name))
    return [model for model in models if model.watermark < floors.of(model.name)]


def reapply(session: Session, found: Divergence, journal: Journal, pseudonyms: Pseudonyms) -> int:
    """Record the missing requests again and cancel the cancelled ones; returns how many requests that were.

    All of it is one transaction: running processes notice a restore by the clock and the watermarks, and both could be
    high again while half of it were still missing. The journal is told before the commit: should that fail, the next
    look does it again.
    """
    book = journal.copy()
    lock_in_order(session, [*found.uncancelled, *_forgettable(session, book.forgotten)])
    session.execute(update(Clock).where(Clock.value < book.highest).values(value=book.highest))
    clock.tick(session)  # from here on everybody else who records waits
    missing = _still_missing(session, found.missing)
    through = clock.tick(session, len(missing))
    lines = [journal.line(request_id) for request_id in missing]
    _record_again(session, lines, through - len(lines) + 1, pseudonyms)
    for request_id in found.uncancelled:
        _cancel_again(session, request_id)
    _forget_again(session, book.forgotten)
    enter(session, "restore_noticed", missing=len(missing), reopened=len(found.reopened), through=through)
    journal.append([journal_lines.restored(through if missing else 0, len(missing))])
    return len(missing)


def _still_missing(session: Session, request_ids: Sequence[UUID]) -> list[UUID]:
    """Those that no other process has recorded again meanwhile; the clock is locked."""
    known = set(session.scalars(select(DeletionRequest.id).where(among(DeletionRequest.id, request_ids))))
    return [each for each in request_ids if each not in known]


def _names(session: Session, lines: Iterable[Facts], pseudonyms: Pseudonyms) -> dict[str, str]:
    """The stored ids behind the pseudonyms that the lines name, by pseudonym."""
    wanted: dict[str, set[str]] = {"user": set(), "item": set()}
    for line in lines:
        wanted[scope_of(line["kind"])].add(line["subject"])
    return {
        **_found(session, Interaction.user_id, pseudonyms.user, wanted["user"]),
        **_found(session, Interaction.item_id, pseudonyms.item, wanted["item"]),
    }


def _found(
    session: Session, column: InstrumentedAttribute[str], pseudonym: Callable[[str], str], wanted: set[str]
) -> dict[str, str]:
    """The ids of a column whose pseudonym is wanted."""
    if not wanted:
        return {}
    ids = session.scalars(select(column).distinct())
    named = ((pseudonym(each), each) for each in ids)
    return {each: id for each, id in named if each in wanted}


def _record_again(session: Session, lines: Sequence[Facts], first: int, pseudonyms: Pseudonyms) -> None:
    """Record requests under their old ids, in the order of their lines, with sequences from `first` on."""
    names = _names(session, lines, pseudonyms)
    for start in range(0, len(lines), AT_ONCE):
        rows = _rows(session, lines[start : start + AT_ONCE], first + start, names, pseudonyms)
        recording.insert_requests(session, rows, "request_recorded_again")


def _rows(
    session: Session, lines: Sequence[Facts], first: int, names: Mapping[str, str], pseudonyms: Pseudonyms
) -> list[RequestRow]:
    """What the ledger is to hold of the lines.

    Data of their subjects that is imported from now on is refused as if the erasures were done.
    """
    keys = _free_keys(session, lines)
    items = _items(session, lines, names, pseudonyms)
    numbered = enumerate(zip(lines, keys, strict=True), start=first)
    return [_row(line, sequence, key, names, items) for sequence, (line, key) in numbered]


def _row(
    line: Facts, sequence: int, key_digest: str | None, names: Mapping[str, str], items: Mapping[str, str]
) -> RequestRow:
    recorded_at = datetime.fromisoformat(line["recorded_at"])
    is_of_pairs = line["kind"] == "interactions"
    return RequestRow(
        request_id=UUID(line["request"]),
        tenant=line["tenant"],
        kind=line["kind"],
        subject=names.get(line["subject"]),
        payload={"items": sorted(items[each] for each in _pairs(line) & items.keys())} if is_of_pairs else None,
        subject_hmac=line["subject"],
        key_digest=key_digest,
        payload_digest=line["payload_digest"],
        sequence=sequence,
        recorded_at=recorded_at,
        due_at=datetime.fromisoformat(line["due_at"]),
        erased_at=None if is_of_pairs else recorded_at,
    )


def _free_keys(session: Session, lines: Sequence[Facts]) -> list[str | None]:
    """The digest of each line's idempotency key, unless the key came again since the restore, or in a line before."""
    named = [(line["tenant"], line["key_digest"]) for line in lines]
    taken = set(recording.earlier(session, [key for key in named if key[1] is not None]))
    free: list[str | None] = []
    for key in named:
        free.append(None if key in taken else key[1])
        taken.add(key)
    return free


def _items(
    session: Session, lines: Sequence[Facts], names: Mapping[str, str], pseudonyms: Pseudonyms
) -> dict[str, str]:
    """The stored items behind the pairs that the lines name, by the pair's pseudonym."""
    wanted = {pair for line in lines for pair in _pairs(line)}
    users = {names[line["subject"]] for line in lines if _pairs(line) and line["subject"] in names}
    stored = select(Interaction.user_id, Interaction.item_id).where(among(Interaction.user_id, sorted(users)))
    named = ((pseudonyms.pair(user, item), item) for user, item in session.execute(stored))
    return {pair: item for pair, item in named if pair in wanted}


def _pairs(line: Facts) -> set[str]:
    """The pseudonyms of the single interactions that a line is about."""
    return set(line["pairs"] or ())


def _cancel_again(session: Session, request_id: UUID) -> None:
    tenant = session.scalar(select(DeletionRequest.tenant).where(DeletionRequest.id == request_id))
    if tenant is not None:
        requests.cancel(session, tenant, request_id)


def _forgettable(session: Session, subjects: Iterable[tuple[str, str]]) -> Sequence[UUID]:
    """The ended requests about these subjects, which change where they are forgotten again."""
    of_them = among(DeletionRequest.subject_hmac, [subject_hmac for _, subject_hmac in subjects])
    return session.scalars(select(DeletionRequest.id).where(of_them, DeletionRequest.state.in_(salts.ENDED))).all()


def _forget_again(session: Session, subjects: Iterable[tuple[str, str]]) -> None:
    """Destroy the salts again that the backup brought back, but for those of open requests."""
    for scope, subject_hmac in subjects:
        try:
            salts.destroy(session, scope, subject_hmac)
        except SubjectInUse:
            continue
