"""Workers: when each last got on. A process that runs and hears nothing shows no sign here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ledger.tables import Run, Worker


@dataclass(frozen=True, slots=True)
class Progress:
    """A worker, and the seconds since it last took a ring or sent a heartbeat of a run."""

    owner: str
    silence_s: float


def hear(session: Session, owner: str) -> None:
    """Note that the worker has taken a ring. The note does not wait for the disk: another one comes soon."""
    session.execute(text("SET LOCAL synchronous_commit = off"))
    heard = {"heard_at": func.clock_timestamp()}
    session.execute(upsert(Worker).values(owner=owner).on_conflict_do_update(index_elements=["owner"], set_=heard))


def leave(session: Session, owner: str) -> None:
    """Sign off: the worker ends as it was told to."""
    session.execute(delete(Worker).where(Worker.owner == owner))


def replace(session: Session, process: str) -> None:
    """Forget the workers that this process was before it started itself again.

    Args:
        session: The transaction.
        process: What the names of all workers of one process begin with.
    """
    session.execute(delete(Worker).where(Worker.owner.startswith(process, autoescape=True)))


def forget_silent(session: Session, after_s: float) -> None:
    """Forget the workers that have shown no sign for so many seconds."""
    forgotten = Worker.heard_at < func.clock_timestamp() - literal(timedelta(seconds=after_s))
    session.execute(delete(Worker).where(forgotten, ~_has_live_run()))


def progress(session: Session) -> Sequence[Progress]:
    """Every worker that has not signed off."""
    heartbeat_at = select(func.max(Run.heartbeat_at)).where(Run.owner == Worker.owner, Run.state == "live")
    latest_at = func.greatest(Worker.heard_at, heartbeat_at.scalar_subquery())
    silence_s = func.extract("epoch", func.clock_timestamp() - latest_at).label("silence_s")
    found = session.execute(select(Worker.owner, silence_s).order_by(Worker.owner))
    return [Progress(row.owner, float(row.silence_s)) for row in found]


def _has_live_run() -> ColumnElement[bool]:
    return select(Run.id).where(Run.owner == Worker.owner, Run.state == "live").exists()
