"""Which generation came from which: what each erased, who serves it, and when it was destroyed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger.among import among
from ledger.replicas import is_live
from ledger.tables import DeletionRequest, Replica, RequestModel, Run, Snapshot

MOST_NAMED = 20
"""Requests that are named of one generation; its run has them all."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A published snapshot, where it came from and where it is.

    Attributes:
        snapshot: As it stands in the ledger.
        run: Which made it.
        n_erased: Requests it was the first to satisfy.
        erased: Some of them, oldest first.
        served_by: The live replicas that say they serve it.
    """

    snapshot: Snapshot
    run: Run
    n_erased: int
    erased: tuple[UUID, ...]
    served_by: tuple[str, ...]


def generations(
    session: Session, replica_timeout_s: float, *, before: datetime | None = None, limit: int = 50
) -> Sequence[Generation]:
    """The latest generations of every model, newest first; those published before a moment, where one is given."""
    wanted = select(Snapshot, Run).join(Run, Run.id == Snapshot.run_id)
    if before is not None:
        wanted = wanted.where(Snapshot.published_at < before)
    rows = session.execute(wanted.order_by(Snapshot.published_at.desc()).limit(limit)).all()
    counts, named = _erased(session, [run.id for _, run in rows])
    served = _served(session, replica_timeout_s)
    return [
        Generation(
            snapshot,
            run,
            counts.get(run.id, 0),
            tuple(named[run.id]),
            tuple(served[snapshot.model, snapshot.digest]),
        )
        for snapshot, run in rows
    ]


def requests_of(session: Session, run_id: UUID, limit: int) -> Sequence[DeletionRequest]:
    """The requests that a run has or had, oldest first."""
    taken = select(DeletionRequest).join(RequestModel, RequestModel.request_id == DeletionRequest.id)
    of_run = taken.where(RequestModel.run_id == run_id).order_by(DeletionRequest.sequence)
    return session.scalars(of_run.limit(limit)).all()


def _erased(session: Session, run_ids: Sequence[UUID]) -> tuple[dict[UUID, int], dict[UUID, list[UUID]]]:
    """By run: how many requests it satisfied, and the first of them."""
    place = func.row_number().over(partition_by=RequestModel.run_id, order_by=DeletionRequest.sequence)
    size = func.count().over(partition_by=RequestModel.run_id)
    numbered = (
        select(RequestModel.run_id, RequestModel.request_id, place.label("place"), size.label("size"))
        .join(DeletionRequest, DeletionRequest.id == RequestModel.request_id)
        .where(among(RequestModel.run_id, run_ids), RequestModel.state == "published")
        .subquery()
    )
    counts: dict[UUID, int] = {}
    named: dict[UUID, list[UUID]] = defaultdict(list)
    for row in session.execute(select(numbered).where(numbered.c.place <= MOST_NAMED).order_by(numbered.c.place)):
        counts[row.run_id] = row.size
        named[row.run_id].append(row.request_id)
    return counts, named


def _served(session: Session, replica_timeout_s: float) -> dict[tuple[str, str | None], list[str]]:
    served: dict[tuple[str, str | None], list[str]] = defaultdict(list)
    for replica in session.scalars(select(Replica).where(is_live(replica_timeout_s)).order_by(Replica.replica_id)):
        served[replica.model, replica.snapshot].append(replica.replica_id)
    return served
