"""What a receipt says: what was done, what was measured, and what could not be reached."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

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
    session: Session, request: DeletionRequest, subject: str, jti: UUID, completed_at: datetime, kid: str
) -> dict[str, Any]:
    """The claims of a request's receipt; the subject appears as the log calls it."""
    return {
        "iss": ISSUER_PREFIX + kid,
        "jti": str(jti),
        "iat": int(completed_at.timestamp()),
        "sub": subject,
        "request_id": str(request.id),
        "kind": request.kind,
        "recorded_at": _spelled(request.recorded_at),
        "suppressed_at": _spelled(request.suppressed_at),
        "unlearned_at": _spelled(request.unlearned_at),
        "completed_at": _spelled(completed_at),
        "models": _models(session, request),
        "destroyed": _destroyed(session, request),
        "unreachable": list(UNREACHABLE),
        "statement": STATEMENT,
    }


def _models(session: Session, request: DeletionRequest) -> list[dict[str, Any]]:
    """One entry per model asked: which run made which child from which parent, and how well."""
    asked = session.execute(
        select(RequestModel, Run, Model)
        .join(Model, Model.name == RequestModel.model)
        .outerjoin(Run, Run.id == RequestModel.run_id)
        .where(RequestModel.request_id == request.id)
        .order_by(RequestModel.model)
    )
    return [_model(asked_model, run, model) for asked_model, run, model in asked]


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


def _destroyed(session: Session, request: DeletionRequest) -> list[dict[str, Any]]:
    """The generations that held the data and were destroyed since the request was recorded."""
    older = and_(Snapshot.model == RequestModel.model, Snapshot.version < RequestModel.version)
    gone: Sequence[Snapshot] = session.scalars(
        select(Snapshot)
        .join(RequestModel, older)
        .where(RequestModel.request_id == request.id, Snapshot.destroyed_at >= request.recorded_at)
        .order_by(Snapshot.model, Snapshot.version)
    ).all()
    return [
        {
            "model": snapshot.model,
            "snapshot": snapshot.digest,
            "destroyed_at": _spelled(snapshot.destroyed_at),
        }
        for snapshot in gone
    ]


def _spelled(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
