"""Giving requests back after a run fell silent or failed, and the pause before they are taken again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Double, Row, and_, cast, func, literal, select, update
from sqlalchemy.orm import Session

from ledger.among import among
from ledger.log.entries import enter
from ledger.shares import divide
from ledger.states import lock_in_order, resumed_state
from ledger.tables import DeletionRequest, RequestModel, Run

FIRST_PAUSE_S = 2
LONGEST_PAUSE_S = 3600
MOST_DOUBLINGS = 12

SilentRun: TypeAlias = Row[UUID, str]


def expire(session: Session) -> list[UUID]:
    """End every live run whose lease ran out, and give the requests back; returns the runs."""
    return _give_back_all(session, end_silent(session))


def end_silent(session: Session, model: str | None = None) -> Sequence[SilentRun]:
    """End the live runs whose lease ran out, of one model or of all. Their requests are still to be given back."""
    dead = select(Run.id).where(Run.state == "live", Run.lease_expires_at <= func.clock_timestamp())
    if model is not None:
        dead = dead.where(Run.model == model)
    silent = _end(session, Run.id.in_(dead.with_for_update(skip_locked=True)), "the lease ran out")
    for run in silent:
        enter(session, "run_expired", run=run.id)
    return silent


def end_held(session: Session, run_id: UUID, reason: str) -> bool:
    """End a live run whatever its worker does, and give its requests back; False where it is not live.

    A worker that is at it loses its lease.
    """
    return bool(_give_back_all(session, _end(session, and_(Run.id == run_id, Run.state == "live"), reason)))


def give_back_silent(session: Session, silent: Sequence[SilentRun]) -> None:
    """Give back what runs that fell silent had. The requests are locked.

    The first retry comes at once and takes them all; after that, in case one of them kills its worker, they are
    divided, and one that was alone rests for twice as long each time.
    """
    for run in silent:
        _return_to_pending(session, run.model, _release(session, run.id))


def give_back_failed(session: Session, run_id: UUID, model: str, reason: str, *, suspect: bool) -> None:
    """Give back what a failed run had, with the reason.

    Args:
        session: The transaction.
        run_id: The run.
        model: Whose it was.
        reason: Why it failed.
        suspect: Whether one of its requests may be the cause. They are divided then and tried again at once, down
            to one alone; else, and for that one, the pause doubles each time.
    """
    lock_in_order(session, _taken_by(session, [run_id]))
    request_ids = _release(session, run_id)
    pause = _none() if suspect and divide(session, model, request_ids) else _pause(0)
    session.execute(
        update(DeletionRequest)
        .where(among(DeletionRequest.id, request_ids))
        .values(state="failed", failure=reason, next_attempt_at=func.clock_timestamp() + pause)
    )


def give_back_unfinished(session: Session, run_id: UUID) -> None:
    """Give back what a run had whose worker was told to stop: at once, and as though it had not been tried."""
    lock_in_order(session, _taken_by(session, [run_id]))
    request_ids = _release(session, run_id)
    session.execute(
        update(DeletionRequest)
        .where(among(DeletionRequest.id, request_ids), DeletionRequest.state == "in_progress")
        .values(state=resumed_state(), attempts=DeletionRequest.attempts - 1, next_attempt_at=None)
    )


def _end(session: Session, is_ended: ColumnElement[bool], reason: str) -> Sequence[SilentRun]:
    """End the runs of which this is so, whatever their workers do."""
    ended = update(Run).where(is_ended).values(state="expired", ended_at=func.clock_timestamp(), failure=reason)
    return session.execute(ended.returning(Run.id, Run.model)).all()


def _give_back_all(session: Session, ended: Sequence[SilentRun]) -> list[UUID]:
    """Lock what the ended runs had, and give it back; returns the runs."""
    run_ids = [run.id for run in ended]
    lock_in_order(session, _taken_by(session, run_ids))
    give_back_silent(session, ended)
    return run_ids


def _return_to_pending(session: Session, model: str, request_ids: Sequence[UUID]) -> None:
    """Give back what an expired run had."""
    attempts = select(func.min(DeletionRequest.attempts)).where(among(DeletionRequest.id, request_ids))
    is_repeated = (session.scalar(attempts) or 0) > 1
    pause = _none() if is_repeated and divide(session, model, request_ids) else _pause(FIRST_PAUSE_S)
    session.execute(
        update(DeletionRequest)
        .where(among(DeletionRequest.id, request_ids), DeletionRequest.state == "in_progress")
        .values(state=resumed_state(), next_attempt_at=func.clock_timestamp() + pause)
    )


def _taken_by(session: Session, run_ids: Sequence[UUID]) -> Sequence[UUID]:
    """The requests that the runs have taken and not published."""
    taken = select(RequestModel.request_id).where(among(RequestModel.run_id, run_ids), RequestModel.state == "leased")
    return session.scalars(taken).all()


def _release(session: Session, run_id: UUID) -> Sequence[UUID]:
    """Take the requests from the run; returns which they are."""
    return session.scalars(
        update(RequestModel)
        .where(RequestModel.run_id == run_id, RequestModel.state == "leased")
        .values(state="pending", run_id=None)
        .returning(RequestModel.request_id)
    ).all()


def _none() -> ColumnElement[timedelta]:
    return literal(timedelta(0))


def _pause(less_s: int) -> ColumnElement[timedelta]:
    """Two seconds to the power of the attempts made, less so many, and an hour at most."""
    doubled_s = func.power(2, func.least(DeletionRequest.attempts, MOST_DOUBLINGS)) - less_s
    return cast(func.least(doubled_s, LONGEST_PAUSE_S), Double) * literal(timedelta(seconds=1))
