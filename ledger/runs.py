"""Runs: one worker's leased attempt at a model's next snapshot, and the fenced publish that ends it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from alteraser.deletions import Deletions
from ledger import clock, interactions
from ledger.among import among
from ledger.deletions import combined
from ledger.errors import LeaseLost, ModelKindChanged, PointerMoved, WatermarkFell
from ledger.finite import finite
from ledger.log.entries import enter
from ledger.retries import end_silent, give_back_failed, give_back_silent, give_back_unfinished
from ledger.shares import first_due
from ledger.states import due_since, is_due, lock_in_order, lock_pointer, settle
from ledger.tables import OPEN_STATES, DeletionRequest, Model, RequestModel, Run, Snapshot

Purpose = Literal["unlearn", "train", "rollback"]
DueRequest: TypeAlias = Row[UUID, str, str | None, dict[str, Any] | None, UUID | None, datetime]


@dataclass(frozen=True, slots=True)
class Lease:
    """What a worker holds until it publishes, fails, or stops sending heartbeats.

    Attributes:
        run_id: The fencing token.
        parent: Digest of the snapshot to start from; None where nothing was published yet.
        version: The parent's version; 0 where nothing was published yet.
        watermark: The erasure watermark the child satisfies.
        deletions: All that the taken requests ask for.
        request_ids: The taken requests, oldest first.
    """

    run_id: UUID
    model: str
    purpose: Purpose
    owner: str
    parent: str | None
    version: int
    watermark: int
    deletions: Deletions
    request_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class PublishedSnapshot:
    """What the ledger keeps of a snapshot in the snapshot folder."""

    digest: str
    watermark: int
    n_users: int
    n_items: int
    n_interactions: int
    residual: float
    hyperparameters: dict[str, Any]


def declare(session: Session, model: str, kind: str) -> None:
    """Make the model known before its data is read, so that every later deletion request asks it too.

    Raises:
        ModelKindChanged: The name belongs to a model of another kind.
    """
    clock.tick(session)
    new = upsert(Model).values(name=model, kind=kind).on_conflict_do_nothing().returning(Model.name)
    if session.scalar(new) is not None:
        enter(session, "model_declared", model=model, kind=kind)
    declared = session.execute(select(Model.kind).where(Model.name == model)).scalar_one()
    if declared != kind:
        raise ModelKindChanged(model, declared, kind)


def lease(session: Session, model: str, owner: str, lease_s: float, purpose: Purpose = "unlearn") -> Lease | None:
    """Take every due request of the model for a new run; None when there is none, or another run is live.

    Of requests that were divided into shares, because runs with them failed, it takes one share. A run to train
    takes them all, and one to roll back takes none; both are leased even when no request is due.
    """
    pointer = lock_pointer(session, model)
    if pointer is None or (pointer.current is None and purpose != "train"):
        return None
    silent = end_silent(session, model)
    if _has_live_run(session, model):
        return None
    owed = _lock_owed(session, model)
    give_back_silent(session, silent)
    due = _taken(_due(session, model, owed), purpose)
    if not due and purpose == "unlearn":
        return None
    run_id = _begin(session, pointer, owner, lease_s, purpose)
    if run_id is None:
        return None
    request_ids = tuple(request.id for request in due)
    _take(session, model, run_id, request_ids)
    enter(session, "run_leased", run=run_id, model=model, purpose=purpose, parent=pointer.current)
    for request_id in request_ids:
        enter(session, "request_leased", request=request_id, run=run_id)
    return Lease(
        run_id=run_id,
        model=model,
        purpose=purpose,
        owner=owner,
        parent=pointer.current,
        version=pointer.version,
        watermark=_watermark(session, pointer, purpose),
        deletions=combined((request.kind, request.subject, request.payload) for request in due),
        request_ids=request_ids,
    )


def heartbeat(
    session: Session, lease: Lease, lease_s: float, phase: str, step: int, residual: float | None = None
) -> None:
    """Extend the lease and say how far the run is; the residual it said last stays where it says none.

    Raises:
        LeaseLost: The run expired or ended.
    """
    now = func.clock_timestamp()
    extended = session.execute(
        update(Run)
        .where(_is_held(lease))
        .values(
            heartbeat_at=now,
            lease_expires_at=now + timedelta(seconds=lease_s),
            phase=phase,
            step=step,
            residual=Run.residual if residual is None else residual,
        )
        .returning(Run.id)
    )
    if extended.first() is None:
        raise LeaseLost(lease.run_id)


def publish(session: Session, lease: Lease, child: PublishedSnapshot, report: dict[str, Any]) -> int:
    """Move the pointer to the child, delete the rows it forgot, and settle the requests; all or nothing.

    Returns:
        The version of the child.

    Raises:
        LeaseLost: The run expired or ended.
        PointerMoved: The parent is not current any more.
        WatermarkFell: The child satisfies fewer erasures than the current snapshot.
    """
    pointer = lock_pointer(session, lease.model)
    _lock_run(session, lease)
    if pointer is None or pointer.current != lease.parent or pointer.version != lease.version:
        raise PointerMoved(lease.run_id, lease.parent)
    if child.watermark < pointer.watermark:
        raise WatermarkFell(lease.run_id, pointer.watermark, child.watermark)
    version = pointer.version + 1
    _supersede(session, lease, child, version)
    _point(session, lease.model, child, version)
    lock_in_order(session, lease.request_ids)
    interactions.delete_rows(session, lease.deletions)
    _satisfy(session, lease, child, version)
    described = {**finite(report), "parameters_digest": _digest(child.hyperparameters)}
    moved = {"model": lease.model, "version": version, "parent": lease.parent, "child": child.digest}
    enter(session, "child_published", run=lease.run_id, watermark=child.watermark, **moved)
    _end(session, lease.run_id, state="published", child=child.digest, residual=child.residual, report=described)
    return version


def was_published(session: Session, lease: Lease, digest: str) -> bool:
    """Whether the run published this child: asked when the answer to a commit was lost."""
    published = select(Run.id).where(Run.id == lease.run_id, Run.state == "published", Run.child == digest)
    return session.scalar(published) is not None


def fail(session: Session, lease: Lease, reason: str, *, suspect: bool = False) -> None:
    """End the run without a child; its requests are tried again.

    Args:
        session: The transaction.
        lease: The run.
        reason: Why it failed, naming nobody.
        suspect: Whether one of the requests may be the cause: they are then tried again in two shares, at once.
            Else they are tried again together, after a pause that doubles each time.

    Raises:
        LeaseLost: The run expired or ended.
    """
    _lock_run(session, lease)
    give_back_failed(session, lease.run_id, lease.model, reason, suspect=suspect)
    enter(session, "run_failed", run=lease.run_id)
    _end(session, lease.run_id, state="failed", failure=reason)


def give_back(session: Session, lease: Lease) -> None:
    """End the run because its worker is to stop; its requests may be taken at once.

    Raises:
        LeaseLost: The run expired or ended.
    """
    _lock_run(session, lease)
    give_back_unfinished(session, lease.run_id)
    enter(session, "run_expired", run=lease.run_id)
    _end(session, lease.run_id, state="expired", failure="its worker was told to stop")


def _has_live_run(session: Session, model: str) -> bool:
    """Whether the model has a live run, once whoever is ending it has done so.

    That is waited for here, before any request is locked: whoever ends a run locks its requests.
    """
    live = select(Run.id).where(Run.model == model, Run.state == "live").with_for_update()
    return session.scalar(live) is not None


def _lock_owed(session: Session, model: str) -> Sequence[UUID]:
    """Lock every request that the model has not published; whoever is cancelling one is waited for."""
    owed = (
        select(RequestModel.request_id)
        .join(DeletionRequest, DeletionRequest.id == RequestModel.request_id)
        .where(RequestModel.model == model, RequestModel.state != "published", DeletionRequest.state.in_(OPEN_STATES))
    )
    request_ids = session.scalars(owed).all()
    lock_in_order(session, request_ids)
    return request_ids


def _due(session: Session, model: str, owed: Sequence[UUID]) -> Sequence[DueRequest]:
    """Which of the locked requests no run has and whose pause is over, oldest first."""
    return session.execute(
        select(
            DeletionRequest.id,
            DeletionRequest.kind,
            DeletionRequest.subject,
            DeletionRequest.payload,
            RequestModel.share,
            due_since().label("due_since"),
        )
        .join(RequestModel, RequestModel.request_id == DeletionRequest.id)
        .where(among(DeletionRequest.id, owed), RequestModel.model == model, RequestModel.state == "pending", is_due())
        .order_by(DeletionRequest.sequence)
    ).all()


def _taken(due: Sequence[DueRequest], purpose: Purpose) -> Sequence[DueRequest]:
    """Those of the due requests that a run of this purpose takes."""
    if purpose == "rollback":
        return ()
    return first_due(due) if purpose == "unlearn" else due


def _begin(session: Session, pointer: Model, owner: str, lease_s: float, purpose: Purpose) -> UUID | None:
    """Insert the live run; None if the model has one."""
    now = func.clock_timestamp()
    return session.scalar(
        upsert(Run)
        .values(
            model=pointer.name,
            purpose=purpose,
            state="live",
            owner=owner,
            lease_expires_at=now + timedelta(seconds=lease_s),
            parent=pointer.current,
        )
        .on_conflict_do_nothing(index_elements=[Run.model], index_where=text("state = 'live'"))  # not a parameter: a
        # generic plan of the prepared statement could not tell that the partial index fits
        .returning(Run.id)
    )


def _take(session: Session, model: str, run_id: UUID, request_ids: Sequence[UUID]) -> None:
    """Lease the requests to the run."""
    session.execute(
        update(RequestModel)
        .where(RequestModel.model == model, among(RequestModel.request_id, request_ids))
        .values(state="leased", run_id=run_id)
    )
    session.execute(
        update(DeletionRequest)
        .where(among(DeletionRequest.id, request_ids))
        .values(state="in_progress", attempts=DeletionRequest.attempts + 1)
    )


def _watermark(session: Session, pointer: Model, purpose: Purpose) -> int:
    """The largest clock value such that the child will satisfy every erasure up to it.

    Training leaves out everything asked for so far. Any other run satisfies all but what it had to leave
    behind: a request still in its pause, or one recorded since.
    """
    now = clock.reading(session)
    if purpose == "train":
        return max(pointer.watermark, now)
    left_behind = session.scalar(
        select(func.min(DeletionRequest.sequence))
        .join(RequestModel, RequestModel.request_id == DeletionRequest.id)
        .where(
            RequestModel.model == pointer.name,
            RequestModel.state == "pending",
            DeletionRequest.state.in_(OPEN_STATES),
        )
    )
    return max(pointer.watermark, now if left_behind is None else min(now, left_behind - 1))


def _is_held(lease: Lease) -> ColumnElement[bool]:
    """The fence: the run is live, its owner's, and not expired by the database's clock."""
    return and_(
        Run.id == lease.run_id,
        Run.owner == lease.owner,
        Run.state == "live",
        Run.lease_expires_at > func.clock_timestamp(),
    )


def _lock_run(session: Session, lease: Lease) -> None:
    if session.scalar(select(Run.id).where(_is_held(lease)).with_for_update()) is None:
        raise LeaseLost(lease.run_id)


def _supersede(session: Session, lease: Lease, child: PublishedSnapshot, version: int) -> None:
    """Close the current generation and open the child's."""
    session.execute(
        update(Snapshot)
        .where(Snapshot.model == lease.model, Snapshot.superseded_at.is_(None))
        .values(superseded_at=func.clock_timestamp())
    )
    session.execute(
        insert(Snapshot).values(
            model=lease.model,
            version=version,
            digest=child.digest,
            parent=lease.parent,
            watermark=child.watermark,
            run_id=lease.run_id,
            n_users=child.n_users,
            n_items=child.n_items,
            n_interactions=child.n_interactions,
            residual=child.residual,
        )
    )


def _point(session: Session, model: str, child: PublishedSnapshot, version: int) -> None:
    session.execute(
        update(Model)
        .where(Model.name == model)
        .values(
            current=child.digest,
            version=version,
            watermark=child.watermark,
            hyperparameters=child.hyperparameters,
            updated_at=func.clock_timestamp(),
        )
    )


def _satisfy(session: Session, lease: Lease, child: PublishedSnapshot, version: int) -> None:
    """Note for the taken requests that the child is the first generation without their data."""
    satisfied = session.scalars(
        update(RequestModel)
        .where(RequestModel.run_id == lease.run_id)
        .values(state="published", child=child.digest, version=version)
        .returning(RequestModel.request_id)
    ).all()
    settle(session, satisfied)


def _digest(hyperparameters: Mapping[str, Any]) -> str:
    canonical = json.dumps(hyperparameters, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _end(session: Session, run_id: UUID, **outcome: Any) -> None:
    session.execute(update(Run).where(Run.id == run_id).values(ended_at=func.clock_timestamp(), **outcome))
