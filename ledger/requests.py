"""Deletion requests: reading and cancelling them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, update
from sqlalchemy.orm import Session

from ledger.errors import InvalidCursor, NotCancellable, RequestNotFound
from ledger.log.entries import enter
from ledger.states import is_overdue, lift_suppressions
from ledger.tables import DeletionRequest, RequestModel, Run

LONGEST_CURSOR = 19


@dataclass(frozen=True, slots=True)
class ModelView:
    """How far one model is with a request. `snapshot` and `residual` are None until it is published.

    `certificate` is None until it is made after that; `uncertified` says why where there is none.
    """

    model: str
    state: str
    run_id: UUID | None
    snapshot: str | None
    residual: float | None
    certificate: dict[str, Any] | None
    uncertified: str | None


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request as anyone may see it: no identity in it."""

    id: UUID
    tenant: str
    kind: str
    state: str
    sequence: int
    subject_hmac: str
    reason: str | None
    recorded_at: datetime
    suppressed_at: datetime | None
    unlearned_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None
    due_at: datetime
    overdue: bool
    attempts: int
    next_attempt_at: datetime | None
    failure: str | None
    models: tuple[ModelView, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Requests, newest first; `cursor` asks for the next page and is None on the last."""

    requests: tuple[RequestView, ...]
    cursor: str | None


def get(session: Session, tenant: str | None, request_id: UUID) -> RequestView:
    """Read one request of the tenant; `tenant` None reads anyone's, for the ops pages.

    Raises:
        RequestNotFound: The tenant has no such request.
    """
    found = session.execute(_rows().where(_is(tenant, request_id))).one_or_none()
    if found is None:
        raise RequestNotFound(request_id)
    return _views(session, [found])[0]


def page(
    session: Session,
    tenant: str | None,
    *,
    state: str | None = None,
    overdue: bool | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page:
    """List requests, newest first; `tenant` None lists everyone's, for the ops pages.

    Raises:
        InvalidCursor: The cursor is not one that an earlier page gave out.
    """
    wanted = _rows().order_by(DeletionRequest.sequence.desc()).limit(limit + 1)
    if tenant is not None:
        wanted = wanted.where(DeletionRequest.tenant == tenant)
    if state is not None:
        wanted = wanted.where(DeletionRequest.state == state)
    if overdue is not None:
        wanted = wanted.where(is_overdue() if overdue else ~is_overdue())
    if cursor is not None:
        wanted = wanted.where(DeletionRequest.sequence < _sequence_of(cursor))
    rows = session.execute(wanted).all()
    views = _views(session, rows[:limit])
    return Page(views, str(views[-1].sequence) if len(rows) > limit else None)


def cancel(session: Session, tenant: str | None, request_id: UUID) -> None:
    """Cancel a request no run has taken, and lift the suppression of its subject; `tenant` None cancels anyone's.

    Raises:
        RequestNotFound: The tenant has no such request.
        NotCancellable: Work on it has begun, or it has ended.
    """
    state = session.scalar(select(DeletionRequest.state).where(_is(tenant, request_id)).with_for_update())
    if state is None:
        raise RequestNotFound(request_id)
    if state != "pending":
        raise NotCancellable(request_id, state)
    session.execute(
        update(DeletionRequest)
        .where(DeletionRequest.id == request_id)
        .values(state="cancelled", cancelled_at=func.clock_timestamp(), subject=None, payload=None)
    )
    lift_suppressions(session, [request_id])
    enter(session, "request_cancelled", request=request_id)


def _is(tenant: str | None, request_id: UUID) -> ColumnElement[bool]:
    of_id = DeletionRequest.id == request_id
    return of_id if tenant is None else and_(DeletionRequest.tenant == tenant, of_id)


def _rows() -> Select[DeletionRequest, bool]:
    return select(DeletionRequest, is_overdue())


def _sequence_of(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < LONGEST_CURSOR):
        raise InvalidCursor
    return int(cursor)


def _views(session: Session, rows: Sequence[Row[DeletionRequest, bool]]) -> tuple[RequestView, ...]:
    models = _models_of(session, [request.id for request, _ in rows])
    return tuple(_view(request, overdue, tuple(models[request.id])) for request, overdue in rows)


def _models_of(session: Session, request_ids: Sequence[UUID]) -> dict[UUID, list[ModelView]]:
    """How far each model is with each request, in two tables and one statement."""
    found = session.execute(
        select(RequestModel, Run.residual, Run.certificate, Run.uncertified)
        .outerjoin(Run, and_(Run.id == RequestModel.run_id, Run.state == "published"))
        .where(RequestModel.request_id.in_(request_ids))
        .order_by(RequestModel.model)
    )
    views: dict[UUID, list[ModelView]] = {request_id: [] for request_id in request_ids}
    for asked, *measured in found:
        views[asked.request_id].append(ModelView(asked.model, asked.state, asked.run_id, asked.child, *measured))
    return views


def _view(request: DeletionRequest, overdue: bool, models: tuple[ModelView, ...]) -> RequestView:
    return RequestView(
        id=request.id,
        tenant=request.tenant,
        kind=request.kind,
        state=request.state,
        sequence=request.sequence,
        subject_hmac=request.subject_hmac,
        reason=request.reason,
        recorded_at=request.recorded_at,
        suppressed_at=request.suppressed_at,
        unlearned_at=request.unlearned_at,
        completed_at=request.completed_at,
        cancelled_at=request.cancelled_at,
        due_at=request.due_at,
        overdue=overdue,
        attempts=request.attempts,
        next_attempt_at=request.next_attempt_at,
        failure=request.failure,
        models=models,
    )
