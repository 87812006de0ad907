"""The page for those who watch the deployment."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from fastapi.responses import HTMLResponse

from ledger import overview, requests
from ledger.database import unit_of_work
from service.auth import Runtime, needs_unless_demo
from service.page import rendered
from service.problems import documented_with_key

router = APIRouter(tags=["operations"])

LATEST_REQUESTS = 50
LATEST_ROWS = 20
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'"


@router.get(
    "/ops",
    summary="Show what is going on",
    dependencies=[Depends(needs_unless_demo("ops:read"))],
    response_class=HTMLResponse,
    responses=documented_with_key(),
)
def ops(parts: Runtime) -> Response:
    """Show requests, runs, snapshots and replicas. Needs the scope `ops:read`; in demo mode no key."""
    with unit_of_work(parts.database) as session:
        html = rendered(
            "ops.html",
            standing=overview.requests(session),
            requests=requests.page(session, None, limit=LATEST_REQUESTS).requests,
            models=overview.models(session),
            runs=overview.runs(session, LATEST_ROWS),
            snapshots=overview.snapshots(session, LATEST_ROWS),
            replicas=overview.replicas(session, parts.settings.replica_timeout_s),
            this_replica=parts.replica.id,
        )
    return HTMLResponse(html, headers={"Content-Security-Policy": POLICY, "Cache-Control": "no-store"})
