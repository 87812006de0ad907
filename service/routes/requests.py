"""Deletion requests: make one, follow it, list them, cancel one, fetch its receipt."""

from __future__ import annotations

import asyncio
from json import JSONDecodeError
from time import monotonic
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from alteraser import crash
from ledger import completion, journal_lines, recording, requests
from ledger.api_keys import Caller
from ledger.database import unit_of_work
from ledger.errors import (
    CallbackRefused,
    InvalidCursor,
    JournalAway,
    KeyReused,
    NotCancellable,
    RequestNotFound,
    UnknownSubject,
)
from service.auth import Runtime, needs
from service.errors import BodyTooLarge, KeysDiffer, ReceiptNotIssued, UnsupportedContentType
from service.intake import check_callbacks, take_back, take_in
from service.parts import Parts
from service.problems import documented_with_key
from service.schemas.deletions import DeletionPage, DeletionStatus, NewDeletion, State
from service.schemas.keys import Key, agreed
from service.schemas.receipts import RECEIPT, RECEIPT_TYPE

router = APIRouter(prefix="/v1/deletion-requests", tags=["deletion requests"])

LONGEST_WAIT_S = 60
FIRST_LOOK_S = 0.05
LOOKS_SLOW_DOWN = 1.5
ENDED = ("completed", "cancelled")

Creator = Annotated[Caller, Depends(needs("deletion:create"))]
Reader = Annotated[Caller, Depends(needs("deletion:read"))]
Canceller = Annotated[Caller, Depends(needs("deletion:cancel"))]
IdempotencyKey = Annotated[Key | None, Header(description="The same key and body get the first answer again.")]
Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for the request to end.")]

_LOCATION = {"Location": {"description": "The new request.", "schema": {"type": "string"}}}


@router.post(
    "",
    status_code=201,
    summary="Ask that something be forgotten",
    responses={
        201: {"description": "Recorded, or recorded before under the same key.", "headers": _LOCATION},
        **documented_with_key(
            JSONDecodeError,
            UnknownSubject,
            BodyTooLarge,
            UnsupportedContentType,
            KeyReused,
            KeysDiffer,
            CallbackRefused,
            JournalAway,
        ),
    },
)
def create(
    new: NewDeletion,
    parts: Runtime,
    caller: Creator,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> DeletionStatus:
    """Record a deletion request. Needs the scope `deletion:create`.

    From this answer on the request stands in the database and in the erasure journal and cannot be lost, and this
    process answers for the subject as for someone it never met. A key that comes again with the same body gets the
    first answer again.
    """
    key = agreed(idempotency_key, new.request_id)
    asked = new.for_ledger(caller.tenant, key, parts.settings.due_days)
    check_callbacks(parts, asked)
    with unit_of_work(parts.database) as session:
        recorded = recording.record(session, asked, parts.pseudonyms)
        view = requests.get(session, caller.tenant, recorded.request_id)
        lines = journal_lines.recorded(session, [recorded.request_id], parts.pseudonyms)
        crash.point("record.inside")
    take_in(parts, lines)
    status = DeletionStatus.as_recorded(view)
    response.headers["Location"] = status.links.self
    return status


@router.get("", summary="List deletion requests", responses=documented_with_key(InvalidCursor))
def page(
    parts: Runtime,
    caller: Reader,
    state: State | None = None,
    overdue: bool | None = None,
    cursor: Annotated[str | None, Query(max_length=64, description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeletionPage:
    """List the tenant's deletion requests, newest first. Needs the scope `deletion:read`."""
    with unit_of_work(parts.database) as session:
        found = requests.page(session, caller.tenant, state=state, overdue=overdue, cursor=cursor, limit=limit)
    return DeletionPage(requests=[DeletionStatus.of(view) for view in found.requests], next=found.cursor)


@router.get("/{request_id}", summary="Follow a deletion request", responses=documented_with_key(RequestNotFound))
async def read(request_id: UUID, request: Request, parts: Runtime, caller: Reader, wait: Wait = 0) -> DeletionStatus:
    """Read a request with its four clocks. Needs the scope `deletion:read`.

    With `wait` the answer comes when the request has ended, or after so many seconds as it then is.
    """
    patient_until = monotonic() + wait
    pause_s = FIRST_LOOK_S
    status = await run_in_threadpool(_status, parts, caller.tenant, request_id)
    while status.state not in ENDED and monotonic() < patient_until and await _is_awaited(request, parts):
        await asyncio.sleep(min(pause_s, max(patient_until - monotonic(), 0)))
        pause_s = min(pause_s * LOOKS_SLOW_DOWN, parts.settings.service_poll_s)
        status = await run_in_threadpool(_status, parts, caller.tenant, request_id)
    return status


@router.delete(
    "/{request_id}",
    status_code=202,
    summary="Cancel a deletion request",
    responses=documented_with_key(RequestNotFound, NotCancellable, JournalAway),
)
def cancel(request_id: UUID, parts: Runtime, caller: Canceller) -> DeletionStatus:
    """Cancel a request that is still pending. Needs the scope `deletion:cancel`."""
    with unit_of_work(parts.database) as session:
        requests.cancel(session, caller.tenant, request_id)
        view = requests.get(session, caller.tenant, request_id)
    take_back(parts, request_id)
    return DeletionStatus.of(view)


@router.get(
    "/{request_id}/receipt",
    summary="Fetch the receipt",
    response_class=Response,
    responses={200: RECEIPT, **documented_with_key(RequestNotFound, ReceiptNotIssued)},
)
def receipt(request_id: UUID, parts: Runtime, caller: Reader) -> Response:
    """Fetch the signed receipt of a completed request. Needs the scope `deletion:read`.

    It says what was done and measured, and what is proven of the scores. It is no proof that the weights equal a
    retrained model's.
    """
    with unit_of_work(parts.database) as session:
        jws = completion.receipt(session, caller.tenant, request_id)
    if jws is None:
        raise ReceiptNotIssued
    return Response(jws, media_type=RECEIPT_TYPE)


def _status(parts: Parts, tenant: str, request_id: UUID) -> DeletionStatus:
    with unit_of_work(parts.database) as session:
        return DeletionStatus.of(requests.get(session, tenant, request_id))


async def _is_awaited(request: Request, parts: Parts) -> bool:
    """Whether there is still someone to answer, and someone who answers."""
    return not parts.ending.is_set() and not await request.is_disconnected()
