"""Deletion requests: recording, reading and cancelling them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, insert, literal, select, update
from sqlalchemy.orm import Session

from ledger import interactions
from ledger.clock import tick
from ledger.deletions import combined
from ledger.errors import InvalidCursor, KeyReused, NotCancellable, RequestNotFound, UnknownSubject
from ledger.log import salts
from ledger.log.entries import enter
from ledger.pseudonym import Pseudonyms
from ledger.states import is_overdue, lift_suppression, settle
from ledger.tables import DeletionRequest, Erasure, Model, RequestModel, Run

Kind = Literal["subject", "interactions", "item"]

LONGEST_CURSOR = 19


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a caller asks to be forgotten.

    Attributes:
        tenant: Whose request it is; others get "not found" for it.
        kind: ``subject``: `user` with everything; ``interactions``: the pairs of `user` with `items`;
            ``item``: `item` with everything.
        key: The caller's idempotency key, unique per tenant; None records a new request every time.
        reason: Why, in the caller's words. Kept after the request ends: no identities in it.
        due_days: Days until the request is overdue.
    """

    tenant: str
    kind: Kind
    user: str | None = None
    items: tuple[str, ...] = ()
    item: str | None = None
    key: str | None = None
    reason: str | None = None
    due_days: int = 30


@dataclass(frozen=True, slots=True)
class Recorded:
    """The request that now stands in the ledger; `replayed` if it stood there before."""

    request_id: UUID
    replayed: bool


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


def record(session: Session, new: NewRequest, pseudonyms: Pseudonyms) -> Recorded:
    """Record a request and suppress its subject in the same transaction, once per key.

    Raises:
        KeyReused: The key was used with another payload.
        UnknownSubject: No interaction of the subject, of the item, or none of the pairs is stored.
    """
    sequence = tick(session)
    digests = _Digests.of(new, pseudonyms)
    earlier = _earlier(session, new.tenant, digests)
    if earlier is not None:
        return Recorded(earlier, replayed=True)
    deletions = combined([(new.kind, _subject(new), _payload(new))])
    if not interactions.holds_any(session, deletions):
        raise UnknownSubject(new.kind)
    request_id = _insert(session, new, sequence, digests)
    alias = salts.alias(session, scope_of(new.kind), digests.subject)
    enter(session, "request_recorded", request=request_id, kind=new.kind, subject=alias, sequence=sequence)
    if not ask_models(session, request_id):
        interactions.delete_rows(session, deletions)
        settle(session, [request_id])
    return Recorded(request_id, replayed=False)


def get(session: Session, tenant: str, request_id: UUID) -> RequestView:
    """Read one request of the tenant.

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


def cancel(session: Session, tenant: str, request_id: UUID) -> None:
    """Cancel a request no run has taken, and lift the suppression of its subject.

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
    lift_suppression(session, request_id)
    enter(session, "request_cancelled", request=request_id)


def scope_of(kind: str) -> str:
    """Which ids a deletion of that kind suppresses: those of users, or of items."""
    return "item" if kind == "item" else "user"


@dataclass(frozen=True, slots=True)
class _Digests:
    """What is kept of a request for good: keyed digests of its key, its payload and its subject."""

    key: str | None
    payload: str
    subject: str

    @classmethod
    def of(cls, new: NewRequest, pseudonyms: Pseudonyms) -> _Digests:
        asked = {"kind": new.kind, "subject": _subject(new), "payload": _payload(new), "reason": new.reason}
        spelled = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        pseudonym = pseudonyms.item if new.kind == "item" else pseudonyms.user
        return cls(
            key=None if new.key is None else pseudonyms.payload(new.key.encode()),
            payload=pseudonyms.payload(spelled.encode()),
            subject=pseudonym(_subject(new) or ""),
        )


def _earlier(session: Session, tenant: str, digests: _Digests) -> UUID | None:
    """The request recorded under the same key."""
    if digests.key is None:
        return None
    of_key = and_(DeletionRequest.tenant == tenant, DeletionRequest.key_digest == digests.key)
    earlier = session.execute(select(DeletionRequest.id, DeletionRequest.payload_digest).where(of_key)).one_or_none()
    if earlier is None:
        return None
    if earlier.payload_digest != digests.payload:
        raise KeyReused
    request_id: UUID = earlier.id
    return request_id


def _insert(session: Session, new: NewRequest, sequence: int, digests: _Digests) -> UUID:
    """Insert the request and suppress its subject from `sequence` on."""
    request_id = session.execute(
        insert(DeletionRequest)
        .values(
            tenant=new.tenant,
            key_digest=digests.key,
            payload_digest=digests.payload,
            kind=new.kind,
            subject=_subject(new),
            payload=_payload(new),
            subject_hmac=digests.subject,
            sequence=sequence,
            reason=new.reason,
            state="pending",
            recorded_at=func.statement_timestamp(),
            due_at=func.statement_timestamp() + timedelta(days=new.due_days),
        )
        .returning(DeletionRequest.id)
    ).scalar_one()
    session.execute(
        insert(Erasure).values(
            request_id=request_id,
            scope=scope_of(new.kind),
            subject_hmac=digests.subject,
            sequence=sequence,
            changed=sequence,
            active=True,
        )
    )
    return request_id


def ask_models(session: Session, request_id: UUID) -> int:
    """Ask every declared model; returns how many there are."""
    asked = insert(RequestModel).from_select(
        ["request_id", "model", "state"], select(literal(request_id), Model.name, literal("pending"))
    )
    return len(session.execute(asked.returning(RequestModel.model)).all())


def _subject(new: NewRequest) -> str | None:
    return new.item if new.kind == "item" else new.user


def _payload(new: NewRequest) -> dict[str, Any] | None:
    return {"items": sorted(set(new.items))} if new.kind == "interactions" else None


def _is(tenant: str, request_id: UUID) -> ColumnElement[bool]:
    return and_(DeletionRequest.tenant == tenant, DeletionRequest.id == request_id)


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
