"""The log: its signed checkpoint, its entries, and proofs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy.orm import Session

from ledger.database import unit_of_work
from ledger.encoding import base64_of
from ledger.errors import NoCheckpoint, NoSuchEntry, ProofOutOfRange
from ledger.log import checkpoints, entries, tree
from service.auth import Runtime, needs_unless_demo
from service.errors import ProofUnclear
from service.problems import documented_with_key
from service.schemas.log import LogEntryDocument, LogProof

router = APIRouter(prefix="/v1/log", tags=["log"])

MOST = 2**62
NOTE_TYPE = "text/plain; charset=utf-8"
Place = Annotated[int, Path(ge=0, le=MOST, description="The place of the entry, from 0.")]

_NOTE = {
    "description": "The checkpoint: a signed note of origin, size and root (c2sp.org/tlog-checkpoint).",
    "content": {
        "text/plain": {
            "schema": {"type": "string"},
            "example": "alteraser/8d3c\n12\nK+nH9sGbkbs3ye8cqYFPp6oYIK5JxXRH5ukTVZvNBUA=\n\n— alteraser/8d3c AAAA...\n",
        }
    },
}


@router.get(
    "/checkpoint",
    summary="Fetch the log's signed checkpoint",
    dependencies=[Depends(needs_unless_demo("deletion:read", "ops:read"))],
    response_class=Response,
    responses={200: _NOTE, **documented_with_key(NoCheckpoint)},
)
def checkpoint(parts: Runtime) -> Response:
    """Fetch the newest signed size and root. Needs the scope `deletion:read` or `ops:read`.

    It is signed by a receipt key, some seconds after the log has grown.
    """
    with unit_of_work(parts.database) as session:
        note = checkpoints.latest(session).note
    return Response(note, media_type=NOTE_TYPE)


@router.get(
    "/entries/{index}",
    summary="Read an entry of the log",
    dependencies=[Depends(needs_unless_demo("ops:read"))],
    responses=documented_with_key(NoSuchEntry),
)
def entry(index: Place, parts: Runtime) -> LogEntryDocument:
    """Read one entry. Needs the scope `ops:read`, for entries speak of every tenant's requests."""
    with unit_of_work(parts.database) as session:
        return LogEntryDocument.of(index, entries.entry(session, index))


@router.get(
    "/proof",
    summary="Prove that the log has an entry, or extends an earlier one",
    dependencies=[Depends(needs_unless_demo("deletion:read", "ops:read"))],
    responses=documented_with_key(NoCheckpoint, ProofOutOfRange, ProofUnclear),
)
def proof(
    parts: Runtime,
    index: Annotated[int | None, Query(ge=0, le=MOST, description="Prove that this entry is in the log.")] = None,
    first: Annotated[int | None, Query(ge=1, le=MOST, description="Prove that the log of so many is extended.")] = None,
    size: Annotated[int | None, Query(ge=1, le=MOST, description="By a log of so many; by the checkpoint's.")] = None,
) -> LogProof:
    """Prove one of `index` and `first`. Needs the scope `deletion:read` or `ops:read`."""
    if (index is None) == (first is None):
        raise ProofUnclear
    with unit_of_work(parts.database) as session:
        of = checkpoints.latest(session).size if size is None else size
        hashes = _proof(session, index, first, of)
    return LogProof(index=index, first=first, size=of, hashes=[base64_of(each) for each in hashes])


def _proof(session: Session, index: int | None, first: int | None, size: int) -> list[bytes]:
    if index is not None:
        return tree.inclusion(session, index, size)
    return tree.consistency(session, first or 0, size)
