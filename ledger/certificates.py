"""Certificates: what is proven of a published child's scores, made after the publish and settled once.

A published run awaits its certificate until it has one, or the reason why it has none. Whoever makes it holds the
run's lease meanwhile; when that runs out, another worker may take it up.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from ledger.log.entries import enter
from ledger.tables import RequestModel, Run, Snapshot

MOST_ATTEMPTS = 3
"""Workers that may die over one certificate before deletions stop waiting for it."""
DESTROYED = "the snapshot was destroyed before it was certified"


@dataclass(frozen=True, slots=True)
class Uncertified:
    """A published run whose certificate this worker makes.

    Attributes:
        child: Digest of the published snapshot.
        moved: Norm of the change of all kept scores from parent to child, as the run reported it; 0 where there is
            no parent.
    """

    run_id: UUID
    model: str
    child: str
    moved: float


def take(session: Session, owner: str, lease_s: float, run_id: UUID | None = None) -> Uncertified | None:
    """Take the next run that awaits its certificate and that nobody else is at; None where there is none.

    Those that deletion requests wait for come first, the oldest in front.

    Args:
        session: The transaction.
        owner: Of the worker; its own runs are its to take at once.
        lease_s: Seconds until another may take the run.
        run_id: Take this run or none.
    """
    now = func.clock_timestamp()
    waiting = (
        select(Run.id)
        .where(awaits_certificate(), or_(Run.owner == owner, Run.lease_expires_at <= now))
        .where(Run.certifications < MOST_ATTEMPTS)
        .order_by(is_asked_for().desc(), Run.ended_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    if run_id is not None:
        waiting = waiting.where(Run.id == run_id)
    taken = session.execute(
        update(Run)
        .where(Run.id == waiting.scalar_subquery())
        .values(owner=owner, lease_expires_at=now + timedelta(seconds=lease_s), certifications=Run.certifications + 1)
        .returning(Run.id, Run.model, Run.child, Run.report)
    ).one_or_none()
    if taken is None:
        return None
    return Uncertified(taken.id, taken.model, taken.child, float((taken.report or {}).get("moved", 0.0)))


def record(session: Session, taken: Uncertified, certificate: dict[str, Any]) -> None:
    """Keep the certificate, unless the run has one or is known to have none."""
    awaited = update(Run).where(Run.id == taken.run_id, awaits_certificate()).values(certificate=certificate)
    settled = session.scalars(awaited.returning(Run.id)).all()
    spelled = json.dumps(certificate, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(spelled.encode()).hexdigest()
    for run_id in settled:
        enter(session, "child_certified", run=run_id, certificate=digest)


def record_none(session: Session, taken: Uncertified, reason: str) -> None:
    """Keep why there is no certificate, unless that or a certificate is there already."""
    _give_none(session, Run.id == taken.run_id, reason)


def give_up(session: Session) -> list[UUID]:
    """Record that there is no certificate where worker after worker fell silent making it; returns the runs."""
    reason = f"{MOST_ATTEMPTS} workers fell silent while they made it"
    hopeless = and_(Run.certifications >= MOST_ATTEMPTS, Run.lease_expires_at <= func.clock_timestamp())
    return _give_none(session, hopeless, reason)


def record_destroyed(session: Session, model: str, digest: str) -> None:
    """Record that a snapshot which is gone will have no certificate."""
    made_by = select(Snapshot.run_id).where(Snapshot.model == model, Snapshot.digest == digest)
    _give_none(session, Run.id.in_(made_by), DESTROYED)


def awaits_certificate() -> ColumnElement[bool]:
    """The condition that a run is published and its certificate neither made nor known to be missing."""
    return and_(Run.state == "published", Run.certificate.is_(None), Run.uncertified.is_(None))


def _give_none(session: Session, which: ColumnElement[bool], reason: str) -> list[UUID]:
    """Record why these runs will have no certificate, where they await one; returns which did."""
    oldest_first = select(Run.id).where(awaits_certificate(), which).order_by(Run.ended_at, Run.id).with_for_update()
    settled = session.scalars(
        update(Run).where(Run.id.in_(oldest_first)).values(uncertified=reason).returning(Run.id)
    ).all()
    for run_id in settled:
        enter(session, "child_uncertified", run=run_id)
    return list(settled)


def is_asked_for() -> ColumnElement[bool]:
    """The condition that the receipt of some request speaks of the run, or will."""
    return exists().where(RequestModel.run_id == Run.id)
