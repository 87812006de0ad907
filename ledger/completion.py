"""Completion: when a request may be called done, what must be destroyed first, and its receipt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, and_, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from ledger import certificates
from ledger.claims import claims_of
from ledger.errors import NotCompletable, RequestNotFound
from ledger.log import checkpoints, entries, salts
from ledger.receipts import Signer, claims_digest
from ledger.replicas import is_live
from ledger.requests import scope_of
from ledger.states import lift_suppression
from ledger.tables import DeletionRequest, Model, Receipt, Replica, RequestModel, Run, Snapshot


def completable(session: Session, replica_timeout_s: float) -> Sequence[UUID]:
    """The suppressed requests whose every live replica has swapped and every certificate is settled, oldest first."""
    swapped = select(DeletionRequest.id).where(_is_swapped(replica_timeout_s))
    return session.scalars(swapped.where(_is_certified()).order_by(DeletionRequest.sequence)).all()


def to_destroy(session: Session, replica_timeout_s: float) -> Sequence[tuple[str, str]]:
    """The (model, digest) of superseded snapshots that hold the data of a request whose replicas have swapped.

    Left out are those whose own certificate the receipt of another request awaits.
    """
    held = (
        select(Snapshot.model, Snapshot.digest)
        .join(RequestModel, _holds_data())
        .join(DeletionRequest, DeletionRequest.id == RequestModel.request_id)
        .where(_is_swapped(replica_timeout_s), ~_is_served_elsewhere(), ~_is_to_be_certified())
        .distinct()
        .order_by(Snapshot.model, Snapshot.digest)
    )
    return [(row.model, row.digest) for row in session.execute(held)]


def mark_destroyed(session: Session, model: str, digest: str) -> None:
    """Note that the folder of a superseded snapshot is gone from the disk."""
    destroyed = session.scalars(
        update(Snapshot)
        .where(
            Snapshot.model == model,
            Snapshot.digest == digest,
            Snapshot.superseded_at.is_not(None),
            Snapshot.destroyed_at.is_(None),
        )
        .values(destroyed_at=func.clock_timestamp())
        .returning(Snapshot.version)
    ).all()
    for version in destroyed:
        entries.enter(session, "snapshot_destroyed", model=model, version=version, snapshot=digest)
    certificates.record_destroyed(session, model, digest)


def kept(session: Session) -> frozenset[str]:
    """The digests that may lie in the snapshot folder: whatever else lies there was never published."""
    return frozenset(session.scalars(select(Snapshot.digest).where(Snapshot.destroyed_at.is_(None))))


def complete(session: Session, request_id: UUID, signer: Signer, replica_timeout_s: float = 10.0) -> None:
    """Issue the receipt, forget the raw identity and lift the suppression; a second call changes nothing.

    Raises:
        RequestNotFound: There is no such request.
        NotCompletable: It is not unlearned or not suppressed, a live replica has not swapped, a superseded
            snapshot that holds the data is not destroyed, or a certificate is neither made nor known to be missing.
    """
    request = session.scalar(select(DeletionRequest).where(DeletionRequest.id == request_id).with_for_update())
    if request is None:
        raise RequestNotFound(request_id)
    if request.state == "completed":
        return
    _refuse_unless_done(session, request, replica_timeout_s)
    completed_at = session.execute(select(func.clock_timestamp())).scalar_one()
    session.execute(
        update(DeletionRequest)
        .where(DeletionRequest.id == request_id)
        .values(state="completed", completed_at=completed_at, subject=None, payload=None)
    )
    lift_suppression(session, request_id)
    jti = uuid4()
    subject = salts.alias(session, scope_of(request.kind), request.subject_hmac)
    claims = claims_of(session, request, subject, jti, completed_at.astimezone(UTC), signer.kid)
    jws = signer.sign({**claims, "log": _logged(session, request_id, claims, signer)})
    session.execute(insert(Receipt).values(request_id=request_id, jti=jti, kid=signer.kid, jws=jws))


def receipt(session: Session, tenant: str, request_id: UUID) -> str | None:
    """The receipt of a tenant's request; None until it is completed.

    Raises:
        RequestNotFound: The tenant has no such request.
    """
    found = session.execute(
        select(Receipt.jws)
        .select_from(DeletionRequest)
        .outerjoin(Receipt, Receipt.request_id == DeletionRequest.id)
        .where(DeletionRequest.id == request_id, DeletionRequest.tenant == tenant)
    ).one_or_none()
    if found is None:
        raise RequestNotFound(request_id)
    jws: str | None = found.jws
    return jws


def _logged(session: Session, request_id: UUID, claims: dict[str, Any], signer: Signer) -> dict[str, Any]:
    """Append that the request is completed, with the digest of its receipt's claims; the proof that it stands there."""
    said = {"receipt": claims["jti"], "claims": claims_digest(claims), "subject": claims["sub"]}
    appended = entries.append(session, "request_completed", request=request_id, **said)
    return checkpoints.proven(session, appended, signer)


def _refuse_unless_done(session: Session, request: DeletionRequest, replica_timeout_s: float) -> None:
    if request.state != "unlearned":
        raise NotCompletable(request.id, f"it is {request.state}")
    if request.suppressed_at is None:
        raise NotCompletable(request.id, "a replica has not confirmed that it suppresses the subject")
    this = select(DeletionRequest.id).where(DeletionRequest.id == request.id)
    if session.scalar(this.where(_is_swapped(replica_timeout_s))) is None:
        raise NotCompletable(request.id, "a replica still serves a snapshot that holds the data")
    if session.scalar(this.where(_is_certified())) is None:
        raise NotCompletable(request.id, "the certificate is not made yet")
    undestroyed = select(Snapshot.digest).join(RequestModel, _holds_data()).where(RequestModel.request_id == request.id)
    if session.scalar(undestroyed.limit(1)) is not None:
        raise NotCompletable(request.id, "a superseded snapshot that holds the data is not destroyed")


def _is_swapped(replica_timeout_s: float) -> ColumnElement[bool]:
    """Unlearned and suppressed, and no live replica of a model asked serves an older one than the child.

    Generations are compared by version: a watermark may stand still from parent to child, when an older
    request had to be left behind.
    """
    served = (
        select(func.max(Snapshot.version))
        .where(Snapshot.model == Replica.model, Snapshot.digest == Replica.snapshot)
        .scalar_subquery()
    )
    behind = (
        select(Replica)
        .join(RequestModel, RequestModel.model == Replica.model)
        .where(
            RequestModel.request_id == DeletionRequest.id,
            is_live(replica_timeout_s),
            func.coalesce(served, 0) < RequestModel.version,
        )
    )
    return and_(DeletionRequest.state == "unlearned", DeletionRequest.suppressed_at.is_not(None), ~behind.exists())


def _is_certified() -> ColumnElement[bool]:
    """No certificate that a receipt speaks of is due for the request's child, or for a generation before it.

    An earlier one is not destroyed before it is certified.
    """
    up_to_the_child = and_(RequestModel.model == Snapshot.model, Snapshot.version <= RequestModel.version)
    due = select(Snapshot).join(RequestModel, up_to_the_child).where(_is_to_be_certified())
    return ~due.where(RequestModel.request_id == DeletionRequest.id).exists()


def _is_to_be_certified() -> ColumnElement[bool]:
    """The snapshot's certificate is neither made nor known to be missing, and some receipt speaks of it."""
    return (
        select(Run)
        .where(Run.id == Snapshot.run_id, certificates.awaits_certificate(), certificates.is_asked_for())
        .correlate(Snapshot)
        .exists()
    )


def _holds_data() -> ColumnElement[bool]:
    """A snapshot is an older generation than the first without the request's data, and still on the disk."""
    return and_(
        Snapshot.model == RequestModel.model,
        Snapshot.version < RequestModel.version,
        Snapshot.superseded_at.is_not(None),
        Snapshot.destroyed_at.is_(None),
    )


def _is_served_elsewhere() -> ColumnElement[bool]:
    """The same content is another model's current snapshot: equal digests are one folder."""
    other = aliased(Model)
    return select(other).where(other.current == Snapshot.digest).exists()
