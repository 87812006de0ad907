"""What comes before new deletion requests are recorded, and after, until they are answered."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from alteraser import crash
from ledger import destinations, journal_lines
from ledger.doorbell import UNLEARN
from ledger.errors import CallbackRefused, LedgerError, LinesRefused
from ledger.journal import Facts
from ledger.recording import NewRequest
from service.parts import Parts

log = structlog.get_logger(__name__)


def check_callbacks(parts: Parts, new: NewRequest) -> None:
    """Refuse a request whose callbacks would go where none may.

    Raises:
        CallbackRefused: Why.
    """
    for url in new.callback_urls:
        destinations.check(url, allow_private=parts.settings.callback_private)


def check_lines(parts: Parts, asked: Sequence[NewRequest]) -> None:
    """Refuse a batch with requests whose callbacks would go where none may.

    Raises:
        LinesRefused: Which they are.
    """
    faults: dict[int, LedgerError] = {}
    for number, new in enumerate(asked):
        try:
            check_callbacks(parts, new)
        except CallbackRefused as refused:
            faults[number] = refused
    if faults:
        raise LinesRefused(faults)


def take_in(parts: Parts, lines: Sequence[Facts]) -> None:
    """Obey committed requests here, have them stand in the journal, and have a worker told.

    Args:
        parts: Of this process.
        lines: Of the requests for the journal; those it has are not written again.

    Raises:
        JournalAway: The journal cannot be written.
    """
    crash.point("record.committed")
    spread(parts)
    unwritten = set(parts.journal.without_line(_request_of(line) for line in lines))
    parts.journal.append([line for line in lines if _request_of(line) in unwritten])
    for request_id in unwritten:
        log.info("request_recorded", request=str(request_id))
    crash.point("ring.before")
    parts.ringer.ring(UNLEARN)


def take_back(parts: Parts, request_id: UUID) -> None:
    """Have the journal say that a request was cancelled, and its subject answered for again.

    Raises:
        JournalAway: The journal cannot be written.
    """
    parts.journal.append([journal_lines.cancelled(request_id)])
    spread(parts)


def spread(parts: Parts) -> None:
    """Make what was just committed known here at once, and to the other replicas soon."""
    parts.replica.follow_erasures_now()
    parts.ringer.hint()


def _request_of(line: Facts) -> UUID:
    request_id: UUID = line["request"]
    return request_id
