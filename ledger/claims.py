"""What receipts say: what was done, what was measured, and what could not be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from ledger.among import among
from ledger.deletions import scope_of
from ledger.tables import DeletionRequest, Model, RequestModel, Run, Snapshot

ISSUER_PREFIX = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:"
"""RFC 9278: the issuer is named by its key, so that nothing needs to be registered anywhere."""

STATEMENT = (
    "The deletion process described here ran and its measurements are as stated. "
    "A certificate, where a model has one, proves how far its scores are at most from those of a model retrained "
    "without the data to the optimum, under what it assumes. "
    "This is not a proof that the model's weights equal those of such a model."
)
ASSUMPTIONS = (
    "the retrained model is the global optimum of the same objective, its constants fixed at training and its rank "
    "unlimited; float64 rounding is not bounded; derived in docs/algorithm.md"
)
UNREACHABLE = (
    "database pages: deleted rows stay in PostgreSQL's files until the table is rewritten or their freed space reused",
    "database write-ahead log: deleted rows stay in it until its segments are recycled",
    "backups of the database or of the snapshot folder made before completion",
    "exports and copies that other systems made before completion",
)


def claims_of(
    session: Session,
    requests: Sequence[DeletionRequest],
    aliases: Mapping[tuple[str, str], str],
    completed_at: datetime,
    kid: str,
) -> list[dict[str, Any]]:
    """The claims of each request's receipt.

    Args:
        session: The transaction.
        requests: That are completed now.
        aliases: How the log calls each (scope, pseudonym) they are about.
        completed_at: Their last clock, aware UTC.
        kid: Of the key that signs.
    """
    request_ids = [request.id for request in requests]
    models, destroyed = _models(session, request_ids), _destroyed(session, request_ids)
    return [
        {
            "iss": ISSUER_PREFIX + kid,
            "jti": str(uuid4()),
            "iat": int(completed_at.timestamp()),
            "sub": aliases[scope_of(request.kind), request.subject_hmac],
            "request_id": str(request.id),
            "kind": request.kind,
            "recorded_at": _spelled(request.recorded_at),
            "suppressed_at": _spelled(request.suppressed_at),
            "unlearned_at": _spelled(request.unlearned_at),
            "completed_at": _spelled(completed_at),
            "models": models[request.id],
            "destroyed": destroyed[request.id],
            "unreachable": list(UNREACHABLE),
            "statement": STATEMENT,
        }
        for request in requests
    ]


def _models(session: Session, request_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """One entry per request and model asked: which run made which child from which parent, and how well."""
    asked = session.execute(
        select(RequestModel, Model)
        .join(Model, Model.name == RequestModel.model)
        .where(among(RequestModel.request_id, request_ids))
        .order_by(RequestModel.model)
    ).all()
    run_ids = {each.run_id for each, _ in asked if each.run_id is not None}
    runs = {run.id: run for run in session.scalars(select(Run).where(among(Run.id, list(run_ids))))}
    claims: dict[UUID, list[dict[str, Any]]] = {request_id: [] for request_id in request_ids}
    for each, model in asked:
        claims[each.request_id].append(_model(each, None if each.run_id is None else runs[each.run_id], model))
    return claims


def _model(asked: RequestModel, run: Run | None, model: Model) -> dict[str, Any]:
    if run is None:
        return {"model": asked.model, "kind": model.kind, "parent": None, "child": None}
    return {
        "model": asked.model,
        "kind": model.kind,
        "run_id": str(run.id),
        "parent": run.parent,
        "child": asked.child,
        "version": asked.version,
        "report": run.report,
        "certificate": None if run.certificate is None else {**run.certificate, "assumes": ASSUMPTIONS},
        "uncertified": run.uncertified,
    }


def _destroyed(session: Session, request_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """The generations that held a request's data and were destroyed since it was recorded."""
    older = and_(Snapshot.model == RequestModel.model, Snapshot.version < RequestModel.version)
    gone = session.execute(
        select(RequestModel.request_id, Snapshot.model, Snapshot.digest, Snapshot.destroyed_at)
        .join(Snapshot, older)
        .join(DeletionRequest, DeletionRequest.id == RequestModel.request_id)
        .where(among(RequestModel.request_id, request_ids), Snapshot.destroyed_at >= DeletionRequest.recorded_at)
        .order_by(Snapshot.model, Snapshot.version)
    )
    claims: dict[UUID, list[dict[str, Any]]] = {request_id: [] for request_id in request_ids}
    for request_id, model, digest, destroyed_at in gone:
        claims[request_id].append({"model": model, "snapshot": digest, "destroyed_at": _spelled(destroyed_at)})
    return claims


def _spelled(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
