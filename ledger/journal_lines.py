"""The lines of the erasure journal: what each says, read from the ledger after the change is committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.among import among
from ledger.checkpoints import NoteSigner
from ledger.encoding import base64_of
from ledger.journal import Facts
from ledger.pseudonym import Pseudonyms
from ledger.tables import DeletionRequest

SEAL = "alteraser journal"


def recorded(session: Session, request_ids: Sequence[UUID], pseudonyms: Pseudonyms) -> list[Facts]:
    """One line for each request, oldest first: whom or what it erases, as keyed HMACs."""
    asked = select(DeletionRequest).where(among(DeletionRequest.id, request_ids)).order_by(DeletionRequest.sequence)
    return [_recorded(request, pseudonyms) for request in session.scalars(asked)]


def cancelled(request_id: UUID) -> Facts:
    """That a request was cancelled."""
    return {"event": "cancelled", "request": request_id}


def completed(request_ids: Iterable[UUID]) -> Facts:
    """That the receipts of these requests were issued."""
    return {"event": "completed", "requests": list(request_ids)}


def published(model: str, child: str, watermark: int) -> Facts:
    """That a model's new generation satisfies every erasure up to a watermark."""
    return {"event": "published", "model": model, "child": child, "watermark": watermark}


def forgotten(scope: str, subject_hmac: str) -> Facts:
    """That a subject's salt was destroyed."""
    return {"event": "forgotten", "scope": scope, "subject": subject_hmac}


def restored(through: int, n_requests: int) -> Facts:
    """That a restore was noticed, and up to which sequence its requests were recorded again."""
    return {"event": "restored", "through": through, "requests": n_requests}


def sealed(last_mac: str, checkpoint: str, signer: NoteSigner) -> Facts:
    """A signature over all lines so far, with the log's checkpoint."""
    signature = signer.sign_bytes(sealed_text(last_mac))
    return {"event": "sealed", "checkpoint": checkpoint, "signature": base64_of(signature)}


def sealed_text(last_mac: str) -> bytes:
    """What a seal signs."""
    return f"{SEAL}\n{last_mac}\n".encode()


def _recorded(request: DeletionRequest, pseudonyms: Pseudonyms) -> Facts:
    return {
        "event": "recorded",
        "request": request.id,
        "tenant": request.tenant,
        "kind": request.kind,
        "subject": request.subject_hmac,
        "pairs": _pairs(request, pseudonyms),
        "sequence": request.sequence,
        "recorded_at": request.recorded_at,
        "due_at": request.due_at,
        "key_digest": request.key_digest,
        "payload_digest": request.payload_digest,
    }


def _pairs(request: DeletionRequest, pseudonyms: Pseudonyms) -> list[str] | None:
    """The pseudonyms of single interactions; None where the request is about all, or its identity is gone."""
    payload: dict[str, Any] | None = request.payload
    if payload is None or request.subject is None:
        return None
    return [pseudonyms.pair(request.subject, item) for item in payload.get("items", ())]
