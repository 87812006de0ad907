"""What the sweep does every few seconds, so that nothing waits for a message that was lost."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session

from ledger import interactions, retries
from ledger.among import among
from ledger.deletions import combined
from ledger.log.entries import enter
from ledger.replicas import mark_suppressed
from ledger.states import is_due, is_overdue, lock_in_order, resumed_state, settle
from ledger.tables import DeletionRequest, Model, RequestModel, Run


def expire_leases(session: Session) -> Sequence[UUID]:
    """End the runs whose worker fell silent and give their requests back; returns the runs."""
    return retries.expire(session)


def retry_failed(session: Session) -> int:
    """Make the failed requests pending again whose pause is over; returns how many."""
    rested = (
        select(DeletionRequest.id)
        .where(DeletionRequest.state == "failed", is_due())
        .order_by(DeletionRequest.sequence)
        .with_for_update(skip_locked=True)
        .cte()
    )
    resumed = session.scalars(
        update(DeletionRequest)
        .where(DeletionRequest.id == rested.c.id)
        .values(state=resumed_state())
        .returning(DeletionRequest.id)
    ).all()
    for request_id in resumed:
        enter(session, "request_resumed", request=request_id)
    return len(resumed)


def models_with_work(session: Session) -> Sequence[str]:
    """The models that owe a due request and have no live run."""
    live = select(Run).where(Run.model == RequestModel.model, Run.state == "live")
    return session.scalars(
        select(RequestModel.model)
        .join(DeletionRequest, DeletionRequest.id == RequestModel.request_id)
        .where(RequestModel.state == "pending", is_due(), ~live.exists())
        .distinct()
        .order_by(RequestModel.model)
    ).all()


def settle_untrained(session: Session) -> Sequence[UUID]:
    """Ask nothing more of models that hold no data: nothing was published and no run is live.

    Such a model was declared and its training did not end well. Returns the requests that are thereby unlearned.
    """
    unpublished = select(Model.name).where(Model.current.is_(None)).order_by(Model.name)
    locked = session.scalars(unpublished.with_for_update(key_share=True)).all()
    training = session.scalars(select(Run.model).where(Run.model.in_(locked), Run.state == "live")).all()
    empty = set(locked) - set(training)
    asked = and_(RequestModel.model.in_(empty), RequestModel.state == "pending")
    request_ids = session.scalars(select(RequestModel.request_id).where(asked)).all()
    lock_in_order(session, request_ids)
    released = update(RequestModel).where(asked, among(RequestModel.request_id, request_ids))
    session.execute(released.values(state="published"))
    settled = settle(session, request_ids)
    _forget(session, settled)
    return settled


def suppress_without_replicas(session: Session, replica_timeout_s: float) -> int:
    """Stamp as suppressed what every replica still alive obeys, or everything where none is alive."""
    return mark_suppressed(session, replica_timeout_s)


def overdue_count(session: Session) -> int:
    """How many requests are past their due date."""
    return session.execute(select(func.count()).select_from(DeletionRequest).where(is_overdue())).scalar_one()


def _forget(session: Session, request_ids: Sequence[UUID]) -> None:
    """Delete the rows the requests name."""
    asked = select(DeletionRequest.kind, DeletionRequest.subject, DeletionRequest.payload)
    rows = session.execute(asked.where(among(DeletionRequest.id, request_ids)))
    interactions.delete_rows(session, combined((row.kind, row.subject, row.payload) for row in rows))
