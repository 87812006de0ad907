"""Replicas: what each serving process has loaded and whom it suppresses, in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ledger.errors import StaleReplica, UnknownModel
from ledger.log.entries import enter
from ledger.tables import DeletionRequest, Erasure, Model, Replica


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which snapshot of a model to serve; `digest` is None until the first is published."""

    digest: str | None
    version: int
    watermark: int


@dataclass(frozen=True, slots=True)
class Change:
    """Whether a subject is suppressed now, and the clock value of its latest change.

    Attributes:
        subject_hmac: The keyed pseudonym of the user or item.
        scope: ``user`` or ``item``.
        active: True while any open request suppresses it.
        changed: Ask for what changed after the largest of these next time.
    """

    subject_hmac: str
    scope: str
    active: bool
    changed: int


def join(session: Session, replica_id: str, model: str) -> None:
    """Announce a replica that has loaded nothing yet; from here on deletions wait for it."""
    session.execute(
        upsert(Replica)
        .values(replica_id=replica_id, model=model)
        .on_conflict_do_update(
            index_elements=[Replica.replica_id, Replica.model],
            set_={
                "snapshot": None,
                "watermark": 0,
                "suppressed_through": 0,
                "heartbeat_at": func.clock_timestamp(),
                "started_at": func.clock_timestamp(),
            },
        )
    )


def acknowledge(
    session: Session,
    replica_id: str,
    model: str,
    snapshot: str | None,
    watermark: int,
    suppressed_through: int,
    replica_timeout_s: float = 10.0,
) -> None:
    """Send a heartbeat that says what is served and up to which clock value erasures are obeyed.

    A replica may at any time say that it serves nothing; what it acknowledged before stays its least watermark.

    Raises:
        StaleReplica: The replica acknowledged a higher watermark before, or deletions were completed without it:
            it was declared dead, and comes back with a snapshot that satisfies fewer erasures than the current one.
    """
    said = {"snapshot": snapshot, "watermark": watermark, "suppressed_through": suppressed_through}
    before = session.execute(
        select(Replica.watermark, Replica.snapshot, is_live(replica_timeout_s).label("is_live"))
        .where(Replica.replica_id == replica_id, Replica.model == model)
        .with_for_update()
    ).one_or_none()
    if before is not None and before.watermark > watermark and snapshot is not None:
        raise StaleReplica(replica_id, model, before.watermark, watermark)
    if before is not None and snapshot is None:
        said["watermark"] = max(before.watermark, watermark)
    if before is not None and not before.is_live and snapshot is not None:
        _refuse_older(session, replica_id, model, watermark)
    if snapshot is not None and (before is None or before.snapshot != snapshot):
        swapped = {"replica": replica_id, "model": model, "snapshot": snapshot, "watermark": watermark}
        enter(session, "snapshot_acknowledged", **swapped)
    session.execute(
        upsert(Replica)
        .values(replica_id=replica_id, model=model, **said)
        .on_conflict_do_update(
            index_elements=[Replica.replica_id, Replica.model],
            set_={**said, "heartbeat_at": func.clock_timestamp()},
        )
    )
    mark_suppressed(session, replica_timeout_s)


def _refuse_older(session: Session, replica_id: str, model: str, watermark: int) -> None:
    """Refuse a replica that no deletion waited for, unless it serves what satisfies every erasure."""
    required = session.scalar(select(Model.watermark).where(Model.name == model)) or 0
    if watermark < required:
        raise StaleReplica(replica_id, model, required, watermark)


def leave(session: Session, replica_id: str) -> None:
    """Sign off: deletions wait for this replica no more."""
    session.execute(delete(Replica).where(Replica.replica_id == replica_id))


def forget_dead(session: Session, dead_s: float) -> int:
    """Remove the rows of replicas silent for so many seconds; returns how many."""
    silent = Replica.heartbeat_at < func.clock_timestamp() - timedelta(seconds=dead_s)
    return len(session.execute(delete(Replica).where(silent).returning(Replica.replica_id)).all())


def current(session: Session, model: str) -> Pointer:
    """Which snapshot of the model to serve.

    Raises:
        UnknownModel: No model of that name is declared.
    """
    found = session.scalar(select(Model).where(Model.name == model))
    if found is None:
        raise UnknownModel(model)
    return Pointer(found.current, found.version, found.watermark)


def erasure_changes(session: Session, after: int) -> Sequence[Change]:
    """The subjects whose suppression changed after a clock value, oldest change first, as they stand now."""
    touched = select(Erasure.scope, Erasure.subject_hmac).where(Erasure.changed > after).distinct().subquery()
    now = (
        select(
            Erasure.subject_hmac,
            Erasure.scope,
            func.bool_or(Erasure.active).label("active"),
            func.max(Erasure.changed).label("changed"),
        )
        .join(touched, (touched.c.scope == Erasure.scope) & (touched.c.subject_hmac == Erasure.subject_hmac))
        .group_by(Erasure.subject_hmac, Erasure.scope)
        .order_by(func.max(Erasure.changed))
    )
    return [Change(row.subject_hmac, row.scope, row.active, row.changed) for row in session.execute(now)]


def is_live(replica_timeout_s: float) -> ColumnElement[bool]:
    """The condition that a replica's heartbeat is recent enough, by the database's clock."""
    return Replica.heartbeat_at > func.clock_timestamp() - literal(timedelta(seconds=replica_timeout_s))


def mark_suppressed(session: Session, replica_timeout_s: float) -> int:
    """Stamp the requests that every live replica obeys, or all where none is live; returns how many."""
    obeyed = select(func.min(Replica.suppressed_through)).where(is_live(replica_timeout_s)).scalar_subquery()
    stamped = (
        select(DeletionRequest.id)
        .where(
            DeletionRequest.suppressed_at.is_(None),
            DeletionRequest.state != "cancelled",
            DeletionRequest.sequence <= func.coalesce(obeyed, DeletionRequest.sequence),
        )
        .order_by(DeletionRequest.sequence)
        .with_for_update()
        .cte()
    )
    suppressed = session.scalars(
        update(DeletionRequest)
        .where(DeletionRequest.id == stamped.c.id)
        .values(suppressed_at=func.clock_timestamp())
        .returning(DeletionRequest.id)
    ).all()
    for request_id in suppressed:
        enter(session, "request_suppressed", request=request_id)
    return len(suppressed)
