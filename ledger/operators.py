"""What an operator may do by hand. Each act stands in the log with the id of the key it was done with."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session

from ledger import requests, retries
from ledger.errors import NotHeld, NotRetriable, RequestNotFound, RunNotFound
from ledger.log.entries import enter
from ledger.states import lock_in_order, resumed_state
from ledger.tables import OPEN_STATES, DeletionRequest, Run

RELEASED = "released by an operator"


def retry(session: Session, request_id: UUID, key_id: UUID) -> None:
    """End the pause of a request that failed or rests: it is taken at the next ring.

    Raises:
        RequestNotFound: There is no such request.
        NotRetriable: It is being worked on, waits its turn, or has ended.
    """
    lock_in_order(session, [request_id])
    rests = or_(DeletionRequest.state == "failed", DeletionRequest.next_attempt_at > func.clock_timestamp())
    resting = and_(DeletionRequest.id == request_id, DeletionRequest.state.in_(OPEN_STATES), rests)
    resumed = update(DeletionRequest).where(resting).values(state=resumed_state(), next_attempt_at=None)
    if session.scalar(resumed.returning(DeletionRequest.id)) is None:
        if session.get(DeletionRequest, request_id) is None:
            raise RequestNotFound(request_id)
        raise NotRetriable(request_id)
    enter(session, "request_retried", request=request_id, key=key_id)


def cancel(session: Session, request_id: UUID, key_id: UUID) -> None:
    """Cancel anyone's request that no run has taken.

    Raises:
        RequestNotFound: There is no such request.
        NotCancellable: Work on it has begun, or it has ended.
    """
    requests.cancel(session, None, request_id)
    enter(session, "cancelled_by_operator", request=request_id, key=key_id)


def release(session: Session, run_id: UUID, key_id: UUID) -> None:
    """End a live run and give its requests back, as though its lease had run out.

    Raises:
        RunNotFound: There is no such run.
        NotHeld: It has ended.
    """
    if not retries.end_held(session, run_id, RELEASED):
        if session.scalar(select(Run.id).where(Run.id == run_id)) is None:
            raise RunNotFound(run_id)
        raise NotHeld(run_id)
    enter(session, "run_released", run=run_id, key=key_id)
