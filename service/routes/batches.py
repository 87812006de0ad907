"""Many deletion requests in one call."""

from __future__ import annotations

from json import JSONDecodeError
from typing import Annotated

from fastapi import APIRouter, Depends

from alteraser import crash
from ledger import journal_lines, recording
from ledger.api_keys import Caller
from ledger.database import unit_of_work
from ledger.errors import CallbackRefused, JournalAway, KeyReused, UnknownSubject
from service.auth import Runtime, needs
from service.errors import BodyTooLarge, UnsupportedContentType
from service.intake import check_lines, take_in
from service.problems import documented_with_key
from service.schemas.batches import BatchAnswer, BatchedRequest, NewBatch

PATH = "/v1/deletion-requests:batch"

router = APIRouter(tags=["deletion requests"])

Creator = Annotated[Caller, Depends(needs("deletion:create"))]


@router.post(
    PATH,
    status_code=201,
    summary="Ask that many things be forgotten",
    responses={
        201: {"description": "All are recorded, or were before under the same keys."},
        **documented_with_key(
            JSONDecodeError,
            UnknownSubject,
            BodyTooLarge,
            UnsupportedContentType,
            KeyReused,
            CallbackRefused,
            JournalAway,
        ),
    },
)
def create(new: NewBatch, parts: Runtime, caller: Creator) -> BatchAnswer:
    """Record up to 10,000 deletion requests, all or none. Needs the scope `deletion:create`.

    Each line is what the body of a single request is, with its key in `request_id` or `idempotency_key`, and the
    batch is recorded as if its lines came one after the other: of two with the same key and body the second replays
    the first. A line that cannot be recorded keeps the whole batch out: the answer is the one that the first such line
    would get alone, and its `errors` point to each of them.
    """
    asked = [line.recorded_as(caller.tenant, parts.settings.due_days) for line in new.requests]
    check_lines(parts, asked)
    with unit_of_work(parts.database) as session:
        recorded = recording.record_all(session, asked, parts.pseudonyms)
        lines = journal_lines.recorded(session, [each.request_id for each in recorded], parts.pseudonyms)
        crash.point("record.inside")
    take_in(parts, lines)
    return BatchAnswer(results=[BatchedRequest.of(each) for each in recorded])
