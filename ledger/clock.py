"""The erasure clock: one row whose lock makes the order of values the order of commits."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ledger.tables import Clock


def tick(session: Session, n_values: int = 1) -> int:
    """Take the next value, or so many at once; returns the last. Others who take wait until this transaction ends."""
    return session.execute(update(Clock).values(value=Clock.value + n_values).returning(Clock.value)).scalar_one()


def reading(session: Session) -> int:
    """The last value committed."""
    return session.execute(select(Clock.value)).scalar_one()
