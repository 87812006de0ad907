"""The pages for those who watch the deployment. Every number on them comes from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from ledger import alarms, completion, lineage, overview, progress, requests, throughput
from ledger.api_keys import Caller
from ledger.database import unit_of_work
from ledger.errors import InvalidCursor, ReceiptInvalid, RequestNotFound, RunNotFound
from ledger.receipts import jwks, verify
from service.auth import Cookie, Runtime, form_token, needs_unless_demo
from service.errors import ReceiptNotIssued
from service.page import PageRoute, page
from service.problems import documented_with_key
from service.schemas.deletions import State
from service.schemas.receipts import RECEIPT, RECEIPT_TYPE

router = APIRouter(tags=["operations"], route_class=PageRoute)

LATEST = 50
MOST_OF_RUN = 200

Watcher = Annotated[Caller | None, Depends(needs_unless_demo("ops:read"))]
Before = Annotated[datetime | None, Query(description="Only what is older: `next` of the page before.")]


class Visit:
    """Somebody looks at a page: who it is, and what they may do there."""

    def __init__(self, request: Request, parts: Runtime, watcher: Watcher, session: Cookie) -> None:
        self.request = request
        self.parts = parts
        self.watcher = watcher
        self.form_token = form_token(parts, session)

    def read(self, session: Session, **values: Any) -> dict[str, Any]:
        """These values, and what every page shows, read in the same transaction."""
        sounding = alarms.sounding(session, self.parts.settings.replica_timeout_s)
        return {"now": overview.now(session), "n_alarms": len(sounding), "alarms": sounding, **values}

    def page(self, template: str, shown: Mapping[str, Any]) -> Response:
        """The page of what was read."""
        may_act = bool(self.form_token and self.watcher and "ops:write" in self.watcher.scopes)
        return page(
            template,
            self.request,
            this_replica=self.parts.replica.id,
            is_signed_in=bool(self.form_token and self.watcher),
            form_token=self.form_token if may_act else None,
            **shown,
        )


Visitor = Annotated[Visit, Depends()]


@router.get(
    "/ops", summary="Show how deletion requests stand", response_class=HTMLResponse, responses=documented_with_key()
)
def ops(parts: Runtime, visit: Visitor, span: Literal["hour", "day", "month"] = "hour") -> Response:
    """Show counts, the next due date, durations, throughput and models. Needs `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        shown = visit.read(
            session,
            standing=overview.requests(session),
            next_due_at=overview.next_due_at(session),
            percentiles=throughput.percentiles(session),
            intervals=throughput.intervals(session, throughput.SPANS[span]),
            span=span,
            models=overview.models(session),
        )
    return visit.page("overview.html", shown)


@router.get(
    "/ops/requests",
    summary="Show the deletion requests",
    response_class=HTMLResponse,
    responses=documented_with_key(InvalidCursor),
)
def listed(
    parts: Runtime,
    visit: Visitor,
    state: State | Literal[""] = "",
    overdue: bool = False,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Show everyone's deletion requests, newest first. Needs the scope `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        found = requests.page(session, None, state=state or None, overdue=overdue or None, cursor=cursor, limit=LATEST)
        shown = visit.read(session, found=found, state=state, overdue=overdue)
    return visit.page("requests.html", shown)


@router.get(
    "/ops/requests/{request_id}",
    summary="Show a deletion request",
    response_class=HTMLResponse,
    responses=documented_with_key(RequestNotFound),
)
def request(request_id: UUID, parts: Runtime, visit: Visitor) -> Response:
    """Show a request's clocks, its models and its receipt. Needs the scope `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        asked = requests.get(session, None, request_id)
        jws = completion.receipt(session, asked.tenant, request_id)
        claims = None if jws is None else _claims(jws, jwks(parts.settings.secrets_dir))
        shown = visit.read(session, asked=asked, has_receipt=jws is not None, claims=claims)
    return visit.page("request.html", shown)


@router.get(
    "/ops/requests/{request_id}/receipt",
    summary="Fetch anyone's receipt",
    dependencies=[Depends(needs_unless_demo("ops:read"))],
    response_class=Response,
    responses={200: RECEIPT, **documented_with_key(RequestNotFound, ReceiptNotIssued)},
)
def receipt(request_id: UUID, parts: Runtime) -> Response:
    """Fetch the signed receipt of anyone's completed request. Needs the scope `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        tenant = requests.get(session, None, request_id).tenant
        jws = completion.receipt(session, tenant, request_id)
    if jws is None:
        raise ReceiptNotIssued
    saved_as = f'attachment; filename="receipt-{request_id}.jws"'
    return Response(jws, media_type=RECEIPT_TYPE, headers={"Content-Disposition": saved_as})


def _claims(jws: str, keys: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a receipt says; None where it does not verify."""
    try:
        return verify(jws, keys)
    except ReceiptInvalid:
        return None


@router.get("/ops/runs", summary="Show the runs", response_class=HTMLResponse, responses=documented_with_key())
def runs(parts: Runtime, visit: Visitor, before: Before = None) -> Response:
    """Show the latest runs. Needs the scope `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        shown = visit.read(session, runs=overview.runs(session, LATEST, before=before), limit=LATEST)
    return visit.page("runs.html", shown)


@router.get(
    "/ops/runs/{run_id}",
    summary="Show a run",
    response_class=HTMLResponse,
    responses=documented_with_key(RunNotFound),
)
def run(run_id: UUID, parts: Runtime, visit: Visitor) -> Response:
    """Show a run's phase, residuals, gates, certificate and report. Needs `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        shown = visit.read(
            session,
            run=overview.run(session, run_id),
            curve=progress.curve(session, run_id),
            requests=lineage.requests_of(session, run_id, MOST_OF_RUN),
        )
    return visit.page("run.html", shown)


@router.get(
    "/ops/snapshots", summary="Show the snapshots", response_class=HTMLResponse, responses=documented_with_key()
)
def snapshots(parts: Runtime, visit: Visitor, before: Before = None) -> Response:
    """Show which generation came from which, and what it erased. Needs `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        found = lineage.generations(session, parts.settings.replica_timeout_s, before=before, limit=LATEST)
        shown = visit.read(session, generations=found, limit=LATEST)
    return visit.page("snapshots.html", shown)


@router.get("/ops/replicas", summary="Show the replicas", response_class=HTMLResponse, responses=documented_with_key())
def replicas(parts: Runtime, visit: Visitor) -> Response:
    """Show what each replica serves and how far it is behind. Needs `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        shown = visit.read(
            session,
            replicas=overview.replicas(session, parts.settings.replica_timeout_s),
            models={served.model.name: served for served in overview.models(session)},
        )
    return visit.page("replicas.html", shown)


@router.get("/ops/log", summary="Show the log", response_class=HTMLResponse, responses=documented_with_key())
def log(
    parts: Runtime,
    visit: Visitor,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="Only entries before this place.")] = None,
    entry: Annotated[int | None, Query(ge=0, le=2**62, description="Check this entry too.")] = None,
) -> Response:
    """Show the log, which the page verifies in the browser. Needs the scope `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        shown = visit.read(session, log=overview.log(session, LATEST, before=before), before=before, entry=entry)
    return visit.page("log.html", shown)


@router.get("/ops/alarms", summary="Show what to look at", response_class=HTMLResponse, responses=documented_with_key())
def sounding(parts: Runtime, visit: Visitor) -> Response:
    """Show every alarm there is now. Needs the scope `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        shown = visit.read(session)
    return visit.page("alarms.html", shown)
