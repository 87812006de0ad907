"""Callbacks: the outbox of changes of state, which a trigger fills in the transaction of each change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Double, cast, func, literal, select, update
from sqlalchemy.orm import Session

from ledger.log.entries import enter
from ledger.tables import Callback

FIRST_PAUSE_S = 2
LONGEST_PAUSE_S = 21_600
MOST_DOUBLINGS = 14


@dataclass(frozen=True, slots=True)
class Due:
    """A change of state that somebody is to be told of now.

    Attributes:
        number: Its place among all callbacks: of two about one request the greater is the later change.
        id: The same at every attempt, so that whoever is told can know it again.
        url: Where to.
        state: What the request became.
        changed_at: When, by the database's clock.
        attempts: How often it was tried, this time included.
        sent_at: Now, by the database's clock.
    """

    number: int
    id: UUID
    request_id: UUID
    url: str
    state: str
    changed_at: datetime
    attempts: int
    sent_at: datetime


def take_due(session: Session, at_most: int, hold_s: float) -> Sequence[Due]:
    """Take what is due, oldest first; nobody else takes it for `hold_s` seconds. Whoever dies over it leaves it due."""
    now = func.clock_timestamp()
    waiting = (
        select(Callback.number)
        .where(Callback.next_attempt_at <= now)
        .order_by(Callback.number)
        .limit(at_most)
        .with_for_update(skip_locked=True)
        .cte()
    )
    taken = session.execute(
        update(Callback)
        .where(Callback.number == waiting.c.number)
        .values(attempts=Callback.attempts + 1, next_attempt_at=now + literal(timedelta(seconds=hold_s)))
        .returning(
            Callback.number,
            Callback.id,
            Callback.request_id,
            Callback.url,
            Callback.state,
            Callback.changed_at,
            Callback.attempts,
            now,
        )
    )
    due = [Due(number, id, request, url or "", *rest) for number, id, request, url, *rest in taken]
    return sorted(due, key=lambda each: each.number)


def deliver(session: Session, due: Due) -> None:
    """Note that somebody was told, and forget where."""
    told = update(Callback).where(Callback.number == due.number)
    session.execute(told.values(delivered_at=func.clock_timestamp(), next_attempt_at=None, url=None, failure=None))


def fail(session: Session, due: Due, reason: str, most_attempts: int) -> bool:
    """Note why nobody could be told, to try again after a pause; True where it is given up after so many attempts.

    The pause doubles from two seconds to six hours, give or take a half.
    """
    tried = update(Callback).where(Callback.number == due.number)
    if due.attempts < most_attempts:
        session.execute(tried.values(failure=reason, next_attempt_at=func.clock_timestamp() + _pause()))
        return False
    session.execute(tried.values(failure=reason, next_attempt_at=None, dead_at=func.clock_timestamp()))
    enter(session, "callback_given_up", request=due.request_id, state=due.state)
    return True


def _pause() -> ColumnElement[timedelta]:
    doubled_s = FIRST_PAUSE_S * func.power(2, func.least(Callback.attempts - 1, MOST_DOUBLINGS))
    jitter = func.random() + 0.5
    return cast(func.least(doubled_s, LONGEST_PAUSE_S) * jitter, Double) * literal(timedelta(seconds=1))
