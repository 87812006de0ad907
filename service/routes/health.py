"""Whether the process lives, and whether it is ready to answer."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy.exc import SQLAlchemyError

from ledger.database import schema_is_current
from ledger.errors import JournalAway
from service.auth import Runtime
from service.parts import Parts
from service.schemas.health import Alive, Readiness

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Is the process alive?")
async def livez() -> Alive:
    """Answer, whatever else is broken. Needs no key."""
    return Alive()


@router.get(
    "/readyz",
    summary="Is the process ready to answer?",
    responses={503: {"model": Readiness, "description": "It is not; `checks` says why."}},
)
def readyz(parts: Runtime, response: Response) -> Readiness:
    """Check database, schema, loaded snapshots, their watermarks, the journal, and that it was not told to stop.

    Needs no key.
    """
    is_intact = _is_intact(parts)
    checks = {
        "database": _is_migrated(parts),
        "ledger_followed": parts.replica.in_touch,
        "snapshots_loaded": parts.replica.is_loaded,
        "watermarks_satisfied": is_intact and parts.replica.satisfies_watermark,
        "journal_compared": parts.guard.has_compared,
        "journal_intact": is_intact,
        "not_stopping": not parts.stopping.is_set(),
    }
    ready = all(checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(ready=ready, checks=checks, reasons=parts.replica.refusals)


def _is_intact(parts: Parts) -> bool:
    try:
        return not parts.journal.read().damaged
    except JournalAway:
        return False


def _is_migrated(parts: Parts) -> bool:
    try:
        return schema_is_current(parts.database)
    except SQLAlchemyError:
        return False
