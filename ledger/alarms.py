"""What somebody should look at now, as far as the ledger can tell.

Each alarm is a condition on rows. The alert rules watch the metrics for the same conditions and send them out; these
are for whoever has the page open, and name the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, literal, select
from sqlalchemy.orm import Session

from ledger import occurrences
from ledger.replicas import is_live
from ledger.states import MANY_ATTEMPTS, due_since, is_due, is_held, is_overdue
from ledger.tables import (
    DeletionRequest,
    Model,
    Replica,
    RequestModel,
    Run,
    Snapshot,
)

About = Literal["request", "run", "replica", "snapshot", "sweep"]
Severity = Literal["critical", "warning"]

SWEEP_SILENT_S = 60.0
"""Seconds in which there should have been a sweep, and in which what is due should have been taken."""
SWAP_SLOW_S = 30.0
"""Seconds in which a live replica should have swapped."""
LOST_LATELY = timedelta(hours=1)
MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is not as it should be.

    Attributes:
        name: What kind of thing.
        severity: Whether a promise is broken, or about to be.
        said: What is the matter, in a sentence.
        about: What the names are names of.
        names: Ids of what it is about, the first few.
        count: How many there are.
    """

    name: str
    severity: Severity
    said: str
    about: About
    names: tuple[str, ...]
    count: int


def sounding(session: Session, replica_timeout_s: float) -> Sequence[Alarm]:
    """Every alarm there is now, the critical ones first."""
    found = [alarm for look in _LOOKS for alarm in look(session, replica_timeout_s)]
    return sorted(found, key=lambda alarm: alarm.severity)


def _overdue(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    del replica_timeout_s
    said = "past the date by which the law wants an answer"
    yield from _of_requests(session, "overdue", "critical", said, is_overdue())


def _held(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    del replica_timeout_s
    said = f"failed {MANY_ATTEMPTS} times or more, and resting until the next attempt"
    yield from _of_requests(session, "held", "warning", said, is_held())


def _lease_lost(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    del replica_timeout_s
    lately = and_(Run.state == "expired", Run.ended_at > func.clock_timestamp() - literal(LOST_LATELY))
    lost = select(Run.id).where(lately).order_by(Run.ended_at.desc())
    said = "lost by a worker that fell silent, or released, within the last hour"
    yield from _of(session, "lease lost", "warning", said, "run", lost)


def _replica_silent(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    silent = select(Replica.replica_id).where(~is_live(replica_timeout_s)).distinct().order_by(Replica.replica_id)
    said = "without a heartbeat: deletions no longer wait for it, and it may serve nobody"
    yield from _of(session, "replica silent", "warning", said, "replica", silent)


def _replica_behind(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    old = func.clock_timestamp() - literal(timedelta(seconds=SWAP_SLOW_S))
    behind = (
        select(Replica.replica_id)
        .join(Model, Model.name == Replica.model)
        .where(is_live(replica_timeout_s), Model.current.is_not(None), Model.updated_at < old)
        .where(func.coalesce(Replica.snapshot, "") != Model.current)
        .distinct()
        .order_by(Replica.replica_id)
    )
    said = "alive, and not serving what was published: completion waits for it"
    yield from _of(session, "replica behind", "critical", said, "replica", behind)


def _watermark_lag(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    below = (
        select(Replica.replica_id)
        .join(Model, Model.name == Replica.model)
        .where(is_live(replica_timeout_s), Replica.snapshot.is_not(None), Replica.watermark < Model.watermark)
        .where(Model.updated_at < func.clock_timestamp() - literal(timedelta(seconds=SWAP_SLOW_S)))
        .distinct()
        .order_by(Replica.replica_id)
    )
    said = "serving a snapshot whose watermark is below the model's"
    yield from _of(session, "watermark lag", "critical", said, "replica", below)


def _sweep_silent(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    del replica_timeout_s
    last = occurrences.seen(session).get("sweep")
    if last is not None and last.age_s > SWEEP_SILENT_S:
        said = f"ended {last.age_s:.0f} seconds ago, and none has since: no lost lease is ended, no log signed"
        yield Alarm("sweep silent", "critical", said, "sweep", (), 1)


def _work_not_taken(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    del replica_timeout_s
    live = select(Run).where(Run.model == RequestModel.model, Run.state == "live")
    asked = select(RequestModel).where(
        RequestModel.request_id == DeletionRequest.id, RequestModel.state == "pending", ~live.exists()
    )
    long_ago = func.clock_timestamp() - literal(timedelta(seconds=SWEEP_SILENT_S))
    waiting = and_(is_due(), due_since() < long_ago, asked.exists())
    said = "due for a minute, and no worker has taken it"
    yield from _of_requests(session, "work not taken", "critical", said, waiting)


def _uncertified(session: Session, replica_timeout_s: float) -> Iterator[Alarm]:
    del replica_timeout_s
    served = (
        select(func.concat(Snapshot.model, " ", Snapshot.version))
        .join(Run, Run.id == Snapshot.run_id)
        .where(Snapshot.superseded_at.is_(None), Run.uncertified.is_not(None))
        .order_by(Snapshot.model)
    )
    said = "served, and nothing is proven of its scores"
    yield from _of(session, "uncertified", "warning", said, "snapshot", served)


_LOOKS: tuple[Callable[[Session, float], Iterator[Alarm]], ...] = (
    _overdue,
    _held,
    _lease_lost,
    _replica_silent,
    _replica_behind,
    _watermark_lag,
    _sweep_silent,
    _work_not_taken,
    _uncertified,
)


def _of_requests(
    session: Session, name: str, severity: Severity, said: str, is_so: ColumnElement[bool]
) -> Iterator[Alarm]:
    oldest_first = select(DeletionRequest.id).where(is_so).order_by(DeletionRequest.sequence)
    return _of(session, name, severity, said, "request", oldest_first)


def _of(
    session: Session, name: str, severity: Severity, said: str, about: About, wanted: Select[Any]
) -> Iterator[Alarm]:
    """The alarm about these rows, where there are any."""
    count = session.execute(select(func.count()).select_from(wanted.order_by(None).subquery())).scalar_one()
    if count:
        names = tuple(str(name) for name in session.scalars(wanted.limit(MOST_NAMED)))
        yield Alarm(name, severity, said, about, names, count)
