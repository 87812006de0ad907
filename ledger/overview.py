"""What stands in the ledger, for those who watch it: counts, durations and latest rows, with no identity."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger.errors import RunNotFound, UnknownModel
from ledger.log import tree
from ledger.replicas import is_live
from ledger.states import is_overdue
from ledger.tables import (
    REQUEST_STATES,
    DeletionRequest,
    LogCheckpoint,
    LogEntry,
    Model,
    Replica,
    Run,
    Snapshot,
    Utc,
)

LATER_CLOCKS = {
    "suppressed": DeletionRequest.suppressed_at,
    "unlearned": DeletionRequest.unlearned_at,
    "completed": DeletionRequest.completed_at,
}


@dataclass(frozen=True, slots=True)
class Served:
    """A model, and the generation its pointer names with the run that made it; None until one is published."""

    model: Model
    snapshot: Snapshot | None
    run: Run | None


@dataclass(frozen=True, slots=True)
class Watched:
    """A replica, and whether its heartbeat is recent enough for deletions to wait for it."""

    replica: Replica
    live: bool


@dataclass(frozen=True, slots=True)
class Durations:
    """How long requests took from recording to one of the later clocks.

    Attributes:
        at_most: How many took at most so many seconds, by the bound asked for.
        count: How many got there.
        sum_s: Seconds they took together.
    """

    at_most: dict[float, int]
    count: int
    sum_s: float


@dataclass(frozen=True, slots=True)
class Requests:
    """How deletion requests stand.

    Attributes:
        by_state: How many are in each state, those without any included.
        overdue: How many are past their due date and have not ended.
        oldest_open_s: Age in seconds of the oldest that has not ended; 0 where there is none.
    """

    by_state: dict[str, int]
    overdue: int
    oldest_open_s: float


@dataclass(frozen=True, slots=True)
class Log:
    """The log, as far as a page shows it.

    Attributes:
        origin: Its name.
        size: How many entries it has.
        signed_size: How many of them the latest checkpoint signs.
        signed_at: When that was signed; None where there is none.
        entries: Places and facts of some entries, newest first.
    """

    origin: str
    size: int
    signed_size: int
    signed_at: datetime | None
    entries: tuple[tuple[int, dict[str, Any]], ...]


def models(session: Session) -> Sequence[Served]:
    """Every model, the one declared first in front."""
    return [Served(*row) for row in session.execute(_served().order_by(Model.created_at, Model.name))]


def model(session: Session, name: str) -> Served:
    """The model of that name.

    Raises:
        UnknownModel: There is none.
    """
    row = session.execute(_served().where(Model.name == name)).one_or_none()
    if row is None:
        raise UnknownModel(name)
    return Served(*row)


def runs(session: Session, limit: int, *, before: datetime | None = None) -> Sequence[Run]:
    """The latest runs, newest first; those that began before a moment, where one is given."""
    latest = select(Run).order_by(Run.started_at.desc()).limit(limit)
    return session.scalars(latest if before is None else latest.where(Run.started_at < before)).all()


def run(session: Session, run_id: UUID) -> Run:
    """One run.

    Raises:
        RunNotFound: There is none of that id.
    """
    found = session.get(Run, run_id)
    if found is None:
        raise RunNotFound(run_id)
    return found


def replicas(session: Session, replica_timeout_s: float) -> Sequence[Watched]:
    """Every replica that has not signed off."""
    rows = session.execute(select(Replica, is_live(replica_timeout_s)).order_by(Replica.replica_id, Replica.model))
    return [Watched(*row) for row in rows]


def requests(session: Session) -> Requests:
    """How deletion requests stand now."""
    counted = session.execute(select(DeletionRequest.state, func.count().label("n")).group_by(DeletionRequest.state))
    oldest = func.min(DeletionRequest.recorded_at).filter(DeletionRequest.state.not_in(("completed", "cancelled")))
    age_s = func.extract("epoch", func.clock_timestamp() - oldest)
    overdue, oldest_open_s = session.execute(select(func.count().filter(is_overdue()), age_s)).one()
    by_state = dict.fromkeys(REQUEST_STATES, 0) | {row.state: row.n for row in counted}
    return Requests(by_state, overdue, float(oldest_open_s or 0))


def next_due_at(session: Session) -> datetime | None:
    """The earliest date by which the law wants an answer to a request that has none; None where there is none."""
    open_ones = DeletionRequest.state.not_in(("completed", "cancelled"))
    return session.scalar(select(func.min(DeletionRequest.due_at, type_=Utc())).where(open_ones))


def now(session: Session) -> datetime:
    """The database's clock, by which everything here is dated."""
    return session.execute(select(func.clock_timestamp(type_=Utc()))).scalar_one()


def log(session: Session, limit: int, *, before: int | None = None) -> Log:
    """The log's latest entries, or the latest before a place."""
    latest = select(LogEntry.index, LogEntry.entry).order_by(LogEntry.index.desc()).limit(limit)
    found = session.execute(latest if before is None else latest.where(LogEntry.index < before))
    signed = session.scalar(select(LogCheckpoint).order_by(LogCheckpoint.size.desc()).limit(1))
    return Log(
        origin=tree.origin(session),
        size=tree.size(session),
        signed_size=signed.size if signed else 0,
        signed_at=signed.signed_at if signed else None,
        entries=tuple((index, json.loads(entry)) for index, entry in found),
    )


def durations(session: Session, bounds_s: Sequence[float]) -> dict[str, Durations]:
    """How long requests took to each of the later clocks, by the clock's name."""
    return {name: _durations(session, reached_at, bounds_s) for name, reached_at in LATER_CLOCKS.items()}


def _served() -> Select[Model, Snapshot, Run]:
    of_model = and_(Snapshot.model == Model.name, Snapshot.version == Model.version)
    return select(Model, Snapshot, Run).outerjoin(Snapshot, of_model).outerjoin(Run, Run.id == Snapshot.run_id)


def _durations(
    session: Session, reached_at: InstrumentedAttribute[datetime | None], bounds_s: Sequence[float]
) -> Durations:
    took_s = func.extract("epoch", reached_at - DeletionRequest.recorded_at)
    within: list[ColumnElement[int]] = [func.count().filter(took_s <= bound) for bound in bounds_s]
    row = session.execute(select(func.count(took_s), func.coalesce(func.sum(took_s), 0), *within)).one()
    count, sum_s, *at_most = row
    return Durations(dict(zip(bounds_s, at_most, strict=True)), count, float(sum_s))
