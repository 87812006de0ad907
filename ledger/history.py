"""What has become of all requests and runs there ever were, added up, at the price of reading the recent ones.

Whatever has ended does not change any more. A history adds it up once and remembers how far it came and what was still
open there; a reading looks at that again, and at what came after. A ledger that was restored from a backup is another
one: the history recognises it by the log's last entry and starts over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Interval, Row, Select, and_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger.among import among
from ledger.certificates import awaits_certificate
from ledger.tables import UNFINISHED_STATES, DeletionRequest, LogEntry, Run

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 3600.0, 86400.0)
"""Upper bounds of the buckets that durations are counted in."""
COMMITTED_WITHIN = timedelta(minutes=10)
"""A run that began longer ago can be seen, or never will."""

AT_ONCE = 100_000
"""Sequences that one statement adds up. A long history takes many, so that none runs into the reader's timeout."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Outcome: TypeAlias = tuple[str, str, str]


@dataclass(slots=True)
class Durations:
    """How long things took.

    Attributes:
        buckets: How many fell between two bounds; one more than there are bounds.
        took: How long they took together.
    """

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    took: timedelta = timedelta()

    def add(self, bucket: int | None, count: int, took: timedelta | None) -> None:
        """Count things of one bucket; None where they are not over."""
        if bucket is None or took is None:
            return
        self.buckets[bucket] += count
        self.took += took


@dataclass(slots=True)
class Sums:
    """What the rows of a stretch of the ledger add up to.

    Attributes:
        states: Requests by state.
        attempts: Runs that requests were taken by, over all requests.
        clocks: From recorded to each later clock.
        runs: How long ended runs took, by model, purpose and state.
        certified: Published runs that have a certificate, by model.
        uncertified: Published runs known to have none, by model.
    """

    states: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    clocks: dict[str, Durations] = field(default_factory=lambda: {clock: Durations() for clock in _CLOCKS})
    runs: dict[Outcome, Durations] = field(default_factory=dict)
    certified: Counter[str] = field(default_factory=Counter)
    uncertified: Counter[str] = field(default_factory=Counter)

    def add_requests(self, rows: Iterable[Row[*tuple[Any, ...]]]) -> None:
        """Add requests, counted by state and buckets."""
        for _, state, n_requests, attempts, *durations in rows:
            self.states[state] += n_requests
            self.attempts += int(attempts)
            for number, clock in enumerate(_CLOCKS):
                bucket, took = durations[2 * number : 2 * number + 2]
                self.clocks[clock].add(bucket, n_requests, took)

    def add_runs(self, rows: Iterable[Row[*tuple[Any, ...]]]) -> None:
        """Add ended runs, counted by outcome and bucket."""
        for model, purpose, state, n_runs, certified, uncertified, bucket, took in rows:
            self.runs.setdefault((model, purpose, state), Durations()).add(bucket, n_runs, took)
            self.certified[model] += certified
            self.uncertified[model] += uncertified


class History:
    """The sums over one ledger, kept from reading to reading; threads may share it."""

    def __init__(self) -> None:
        self._alone = Lock()
        self._anchor: tuple[int, str] | None
        self._open: list[int]
        self._began_at: datetime
        self._start_over()

    def read(self, session: Session) -> Sums:
        """The sums over the whole ledger."""
        with self._alone:
            if not self._is_of(session):
                self._start_over()
            self._settle_new_requests(session)
            unfinished = self._settle_requests(session, among(DeletionRequest.sequence, self._open))
            self._open = [sequence for row in unfinished for sequence in row.unfinished]
            self._settle_runs(session)
            whole = deepcopy(self._settled)
            whole.add_requests(unfinished)
            whole.add_runs(session.execute(_runs(Run.started_at >= self._began_at)))
            self._anchor = _last_entry(session)
        return whole

    def _start_over(self) -> None:
        self._settled = Sums()
        self._sequence = 0
        self._open = []
        self._began_at = LONG_AGO
        self._anchor = None

    def _is_of(self, session: Session) -> bool:
        """Whether this ledger goes on where the last reading ended."""
        if self._anchor is None:
            return False
        index, entry = self._anchor
        return session.scalar(select(LogEntry.entry).where(LogEntry.index == index)) == entry

    def _settle_new_requests(self, session: Session) -> None:
        """Add up the requests recorded since that have ended, and remember those that have not.

        What one statement added stays added where a later one fails: the next reading goes on there.
        """
        newest = session.scalar(select(func.max(DeletionRequest.sequence))) or 0  # none below it is still to come
        while self._sequence < newest:
            through = min(self._sequence + AT_ONCE, newest)
            between = and_(DeletionRequest.sequence > self._sequence, DeletionRequest.sequence <= through)
            unfinished = self._settle_requests(session, between)
            self._open += [sequence for row in unfinished for sequence in row.unfinished]
            self._sequence, self._anchor = through, _last_entry(session)

    def _settle_requests(self, session: Session, which: ColumnElement[bool]) -> Sequence[Row[*tuple[Any, ...]]]:
        """Add up those of the requests that have ended; returns the sums of the others."""
        rows = session.execute(_requests(which)).all()
        self._settled.add_requests(row for row in rows if row.unfinished is None)
        return [row for row in rows if row.unfinished is not None]

    def _settle_runs(self, session: Session) -> None:
        """Add up the runs that have ended since and began before the first that has not."""
        began_at = _first_unsettled_run(session)
        between = Run.started_at >= self._began_at, Run.started_at < began_at
        self._settled.add_runs(session.execute(_runs(*between)).all())
        self._began_at = max(self._began_at, began_at)


_CLOCKS: dict[str, InstrumentedAttribute[datetime | None]] = {
    "suppressed": DeletionRequest.suppressed_at,
    "unlearned": DeletionRequest.unlearned_at,
    "completed": DeletionRequest.completed_at,
}


def _requests(which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """All requests that are alike in one row.

    It has the sequences of unfinished ones, None where they have ended; state, number and attempts; then bucket and sum
    for each clock.
    """
    is_unfinished = DeletionRequest.state.in_(UNFINISHED_STATES)
    unfinished = func.array_agg(DeletionRequest.sequence).filter(is_unfinished).label("unfinished")
    took = {clock: reached_at - DeletionRequest.recorded_at for clock, reached_at in _CLOCKS.items()}
    durations = [each for clock, span in took.items() for each in (_bucket(span).label(clock), func.sum(span))]
    counts = func.count(), func.coalesce(func.sum(DeletionRequest.attempts), 0)
    return (
        select(unfinished, DeletionRequest.state, *counts, *durations)
        .where(which)
        .group_by(DeletionRequest.state, *took)
    )


def _runs(*which: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    """Outcome, number and certificates of ended runs, then bucket and sum, all that are alike in one row."""
    span = Run.ended_at - Run.started_at
    outcome = Run.model, Run.purpose, Run.state
    counts = func.count(), func.count(Run.certificate), func.count(Run.uncertified)
    ended = select(*outcome, *counts, _bucket(span).label("took"), func.sum(span)).where(Run.state != "live", *which)
    return ended.group_by(*outcome, "took")


def _bucket(span: ColumnElement[Any]) -> ColumnElement[int]:
    bounds = literal([timedelta(seconds=bound) for bound in BOUNDS_S], ARRAY(Interval))
    return func.width_bucket(span, bounds)


def _first_unsettled_run(session: Session) -> datetime:
    """When the first run began that is not settled.

    The rows are counted, too: for the least value alone PostgreSQL would walk the index of a whole history.
    """
    is_unsettled = or_(Run.state == "live", awaits_certificate())
    committed_before = func.clock_timestamp() - literal(COMMITTED_WITHIN)
    unsettled = select(func.least(func.min(Run.started_at), committed_before), func.count()).where(is_unsettled)
    began_at: datetime
    began_at, _ = session.execute(unsettled).one()
    return began_at


def _last_entry(session: Session) -> tuple[int, str] | None:
    found = session.execute(select(LogEntry.index, LogEntry.entry).order_by(LogEntry.index.desc()).limit(1)).first()
    return None if found is None else (found[0], found[1])
