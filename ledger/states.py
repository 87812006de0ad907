"""The states of deletion requests: the conditions on them, and the moves more than one noun makes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, select, update
from sqlalchemy.orm import Session

from ledger.among import among
from ledger.clock import tick
from ledger.log.entries import enter
from ledger.tables import OPEN_STATES, DeletionRequest, Erasure, Model, RequestModel

MANY_ATTEMPTS = 3
"""Attempts after which a request that rests counts as held: divided from the others, it fails alone."""


def is_due() -> ColumnElement[bool]:
    """The condition that a request is open and its pause, if it has one, is over."""
    return and_(
        DeletionRequest.state.in_(OPEN_STATES),
        due_since() <= func.clock_timestamp(),
    )


def due_since() -> ColumnElement[datetime]:
    """When a request was recorded, or when its pause was over."""
    return func.coalesce(DeletionRequest.next_attempt_at, DeletionRequest.recorded_at)


def is_held() -> ColumnElement[bool]:
    """The condition that a request failed so often that it rests alone until its next attempt."""
    return and_(
        DeletionRequest.state.in_(OPEN_STATES),
        DeletionRequest.attempts >= MANY_ATTEMPTS,
        DeletionRequest.next_attempt_at > func.clock_timestamp(),
    )


def is_overdue() -> ColumnElement[bool]:
    """The condition that a request is due and neither completed nor cancelled, by the database's clock."""
    return and_(
        DeletionRequest.due_at < func.clock_timestamp(),
        DeletionRequest.state.not_in(("completed", "cancelled")),
    )


def resumed_state() -> ColumnElement[str]:
    """The state of a request given back: in progress where a model works on it or is done with it."""
    begun = select(RequestModel).where(RequestModel.request_id == DeletionRequest.id, RequestModel.state != "pending")
    return case((begun.exists(), "in_progress"), else_="pending")


def lock_in_order(session: Session, request_ids: Sequence[UUID]) -> None:
    """Lock the requests, all that the transaction will change in one call, oldest first: so nobody waits in a circle.

    Locks are taken in this order everywhere: the model's pointer, its run, requests, the clock, the log's head. What
    a request asks of each model (`RequestModel`) is changed only under the request's lock.
    """
    oldest_first = select(DeletionRequest.id).order_by(DeletionRequest.sequence).with_for_update()
    session.execute(oldest_first.where(among(DeletionRequest.id, request_ids))).all()


def lock_pointer(session: Session, model: str) -> Model | None:
    """Lock the model's pointer against every other run; new requests may still refer to the model."""
    return session.scalar(select(Model).where(Model.name == model).with_for_update(key_share=True))


def settle(session: Session, request_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Call those requests unlearned whose every model has published without their data; returns which.

    The requests are locked first: of two models that publish at once, the second sees what the first did.
    """
    unpublished = select(RequestModel).where(
        RequestModel.request_id == DeletionRequest.id, RequestModel.state != "published"
    )
    lock_in_order(session, request_ids)
    settled = session.scalars(
        update(DeletionRequest)
        .where(
            among(DeletionRequest.id, request_ids),
            DeletionRequest.state.in_(OPEN_STATES),
            ~unpublished.exists(),
        )
        .values(state="unlearned", unlearned_at=func.clock_timestamp(), next_attempt_at=None, failure=None)
        .returning(DeletionRequest.id)
    ).all()
    whole = select(DeletionRequest.id).where(among(DeletionRequest.id, settled), DeletionRequest.kind != "interactions")
    session.execute(update(Erasure).where(Erasure.request_id.in_(whole)).values(erased_at=func.clock_timestamp()))
    for request_id in settled:
        enter(session, "request_unlearned", request=request_id)
    return settled


def lift_suppressions(session: Session, request_ids: Sequence[UUID]) -> None:
    """Let replicas answer for the subjects again: one change of all of them, for it is one commit."""
    lifted = update(Erasure).where(among(Erasure.request_id, request_ids))
    session.execute(lifted.values(active=False, changed=tick(session)))
