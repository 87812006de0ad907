"""The metrics, for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.auth import Runtime, needs_unless_demo
from service.problems import documented_with_key

router = APIRouter(tags=["operations"])

_EXPOSITION = {
    "description": "Prometheus text format.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


@router.get(
    "/metrics",
    summary="Expose the metrics",
    dependencies=[Depends(needs_unless_demo("ops:read"))],
    response_class=Response,
    responses={200: _EXPOSITION, **documented_with_key()},
)
def exposed(parts: Runtime) -> Response:
    """Expose what this process and the ledger count. Needs the scope `ops:read`; in demo mode no key."""
    return Response(generate_latest(parts.metrics.registry), media_type=CONTENT_TYPE_LATEST)
