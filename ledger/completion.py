"""Completion: when a request may be called done, what must be destroyed first, and its receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from ledger import certificates
from ledger.among import among
from ledger.arrays import insert_all
from ledger.claims import claims_of
from ledger.deletions import scope_of
from ledger.errors import RequestNotFound
from ledger.log import checkpoints, entries, salts
from ledger.receipts import Signer, claims_digest
from ledger.replicas import is_live
from ledger.states import lift_suppressions, lock_in_order
from ledger.tables import DeletionRequest, Model, Receipt, Replica, RequestModel, Run, Snapshot

OBSTACLES = (
    "a replica has not confirmed that it suppresses the subject",
    "a replica still serves a snapshot that holds the data",
    "the certificate is not made yet",
    "a superseded snapshot that holds the data is not destroyed",
)
"""What can hold up a request that is unlearned, in the order in which it is looked at."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What became of requests that were to be completed; those that were completed before are in neither.

    Attributes:
        completed: Which are completed now.
        deferred: Why the others are not done yet.
    """

    completed: tuple[UUID, ...]
    deferred: Mapping[UUID, str]


def completable(session: Session, replica_timeout_s: float) -> Sequence[UUID]:
    """The suppressed requests whose every live replica has swapped and every certificate is settled, oldest first."""
    swapped = select(DeletionRequest.id).where(_is_swapped(replica_timeout_s))
    return session.scalars(swapped.where(_is_certified()).order_by(DeletionRequest.sequence)).all()


def to_destroy(session: Session, replica_timeout_s: float, rollback_grace_s: float) -> Sequence[tuple[str, str]]:
    """The (model, digest) of superseded snapshots to be destroyed.

    Those that hold the data of a request whose replicas have swapped go at once; any other goes when nobody has rolled
    back to it for so many seconds. Left out are those whose own certificate the receipt of another request awaits.
    """
    has_swapped = DeletionRequest.id == RequestModel.request_id
    holding = (
        select(RequestModel).join(DeletionRequest, has_swapped).where(_holds_data(), _is_swapped(replica_timeout_s))
    )
    is_old = Snapshot.superseded_at <= func.clock_timestamp() - literal(timedelta(seconds=rollback_grace_s))
    doomed = (
        select(Snapshot.model, Snapshot.digest)
        .where(Snapshot.superseded_at.is_not(None), Snapshot.destroyed_at.is_(None))
        .where(or_(holding.exists(), is_old), ~_is_served_elsewhere(), ~_is_to_be_certified())
        .distinct()
        .order_by(Snapshot.model, Snapshot.digest)
    )
    return [(row.model, row.digest) for row in session.execute(doomed)]


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


def complete(
    session: Session, request_ids: Sequence[UUID], signer: Signer, replica_timeout_s: float = 10.0
) -> Completion:
    """Issue receipts, forget raw identities and lift suppressions, of all that are done; a second call changes nothing.

    Raises:
        RequestNotFound: There is no such request.
    """
    lock_in_order(session, request_ids)
    asked = select(DeletionRequest).where(among(DeletionRequest.id, request_ids)).order_by(DeletionRequest.sequence)
    requests = session.scalars(asked).all()
    for missing in set(request_ids) - {request.id for request in requests}:
        raise RequestNotFound(missing)
    open_ids = [request.id for request in requests if request.state != "completed"]
    deferred = _obstacles(session, open_ids, replica_timeout_s)
    done = [request for request in requests if request.id in set(open_ids) - deferred.keys()]
    if done:
        _issue(session, done, signer)
    return Completion(tuple(request.id for request in done), deferred)


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


def _issue(session: Session, requests: Sequence[DeletionRequest], signer: Signer) -> None:
    """Call the locked requests completed, and sign their receipts: each has its entry in the log, and the proof."""
    request_ids = [request.id for request in requests]
    completed_at = session.execute(select(func.clock_timestamp())).scalar_one().astimezone(UTC)
    session.execute(
        update(DeletionRequest)
        .where(among(DeletionRequest.id, request_ids))
        .values(state="completed", completed_at=completed_at, subject=None, payload=None)
    )
    lift_suppressions(session, request_ids)
    aliases = salts.aliases(session, [(scope_of(request.kind), request.subject_hmac) for request in requests])
    issued = claims_of(session, requests, aliases, completed_at, signer.kid)
    appended = entries.append(session, [_entry(claims) for claims in issued])
    proofs = checkpoints.proven(session, appended, signer)
    columns: dict[str, Sequence[UUID | str]] = {
        "request_id": request_ids,
        "jti": [UUID(claims["jti"]) for claims in issued],
        "jws": [signer.sign({**claims, "log": proof}) for claims, proof in zip(issued, proofs, strict=True)],
    }
    insert_all(session, Receipt, columns, kid=literal(signer.kid))


def _entry(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the log says of a receipt: that a request is completed, with the digest of the receipt's claims."""
    return {
        "event": "request_completed",
        "request": claims["request_id"],
        "receipt": claims["jti"],
        "claims": claims_digest(claims),
        "subject": claims["sub"],
    }


def _obstacles(session: Session, request_ids: Sequence[UUID], replica_timeout_s: float) -> dict[UUID, str]:
    """Why requests are not done; those that are done are not in it."""
    undestroyed = (
        select(Snapshot).join(RequestModel, _holds_data()).where(RequestModel.request_id == DeletionRequest.id)
    )
    found = session.execute(
        select(
            DeletionRequest.id,
            DeletionRequest.state,
            DeletionRequest.suppressed_at.is_not(None),
            _is_swapped(replica_timeout_s),
            _is_certified(),
            ~undestroyed.exists(),
        ).where(among(DeletionRequest.id, request_ids))
    )
    obstacles = {request_id: _obstacle(state, facts) for request_id, state, *facts in found}
    return {request_id: obstacle for request_id, obstacle in obstacles.items() if obstacle is not None}


def _obstacle(state: str, facts: Sequence[bool]) -> str | None:
    """The first thing that is not so."""
    if state != "unlearned":
        return f"it is {state}"
    return next((obstacle for obstacle, is_met in zip(OBSTACLES, facts, strict=True) if not is_met), None)


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
