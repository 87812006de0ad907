"""What an operator does by hand, with forms of the pages: it needs `ops:write`, and the log has the id of the key."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import RedirectResponse

from ledger import operators
from ledger.api_keys import Caller
from ledger.database import unit_of_work
from ledger.doorbell import UNLEARN
from ledger.errors import JournalAway, NotCancellable, NotHeld, NotRetriable, RequestNotFound, RunNotFound
from service.auth import Runtime, acts
from service.errors import ForgedForm, UnsupportedContentType
from service.intake import take_back
from service.page import GO_ON, SEE_OTHER, PageRoute
from service.problems import documented_with_key

router = APIRouter(prefix="/ops", tags=["operations"], route_class=PageRoute)

Operator = Annotated[Caller, Depends(acts("ops:write"))]

_FORM = {
    "requestBody": {
        "required": False,
        "description": "What the forms of the pages send. Not needed with a key in `Authorization`.",
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": {"form_token": {"type": "string"}}}
            }
        },
    }
}


def _documented(*kinds: type[Exception]) -> dict[int | str, dict[str, Any]]:
    return {SEE_OTHER: GO_ON, **documented_with_key(ForgedForm, UnsupportedContentType, *kinds)}


@router.post(
    "/requests/{request_id}/retry",
    summary="Try a request again now",
    status_code=SEE_OTHER,
    response_class=RedirectResponse,
    responses=_documented(RequestNotFound, NotRetriable),
    openapi_extra=_FORM,
)
def retry(request_id: UUID, parts: Runtime, operator: Operator) -> RedirectResponse:
    """End the pause of a request that failed or rests. Needs the scope `ops:write`."""
    with unit_of_work(parts.database) as session:
        operators.retry(session, request_id, operator.key_id)
    parts.ringer.ring(UNLEARN)
    return _to(f"/ops/requests/{request_id}")


@router.post(
    "/requests/{request_id}/cancel",
    summary="Cancel anyone's request",
    status_code=SEE_OTHER,
    response_class=RedirectResponse,
    responses=_documented(RequestNotFound, NotCancellable, JournalAway),
    openapi_extra=_FORM,
)
def cancel(request_id: UUID, parts: Runtime, operator: Operator) -> RedirectResponse:
    """Cancel a request that no run has taken. Needs the scope `ops:write`."""
    with unit_of_work(parts.database) as session:
        operators.cancel(session, request_id, operator.key_id)
    take_back(parts, request_id)
    return _to(f"/ops/requests/{request_id}")


@router.post(
    "/runs/{run_id}/release",
    summary="Release a held run",
    status_code=SEE_OTHER,
    response_class=RedirectResponse,
    responses=_documented(RunNotFound, NotHeld),
    openapi_extra=_FORM,
)
def release(run_id: UUID, parts: Runtime, operator: Operator) -> RedirectResponse:
    """End a live run, whatever its worker does, and give its requests back. Needs the scope `ops:write`."""
    with unit_of_work(parts.database) as session:
        operators.release(session, run_id, operator.key_id)
    parts.ringer.ring(UNLEARN)
    return _to(f"/ops/runs/{run_id}")


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, SEE_OTHER)
