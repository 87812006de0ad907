"""How a run got on: the points of its residual curve, kept while somebody may want to look at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, literal, select
from sqlalchemy.orm import Session

from ledger.arrays import insert_all
from ledger.tables import RunProgress

KEPT = timedelta(days=7)
"""How long a curve is kept. What a run ended with stands in its report for good."""


@dataclass(frozen=True, slots=True)
class Point:
    """The residual of a run at a moment.

    Attributes:
        elapsed_s: Seconds since the run began, by the worker's monotonic clock.
        phase: What was being done.
        step: Steps of the phase that were done.
        residual: Relative gradient norm.
    """

    elapsed_s: float
    phase: str
    step: int
    residual: float


def keep(session: Session, run_id: UUID, first: int, points: Sequence[Point]) -> None:
    """Add points to a run's curve, the first of which is its `first`, counted from 0."""
    if not points:
        return
    columns = {
        "number": range(first, first + len(points)),
        "elapsed_s": [point.elapsed_s for point in points],
        "phase": [point.phase for point in points],
        "step": [point.step for point in points],
        "residual": [point.residual for point in points],
    }
    insert_all(session, RunProgress, columns, run_id=literal(run_id))


def curve(session: Session, run_id: UUID) -> Sequence[Point]:
    """The curve of a run so far; empty where it told no residual, or ended too long ago."""
    points = select(RunProgress.elapsed_s, RunProgress.phase, RunProgress.step, RunProgress.residual)
    found = session.execute(points.where(RunProgress.run_id == run_id).order_by(RunProgress.number))
    return [Point(*row) for row in found]


def forget_old(session: Session) -> int:
    """Delete the points that were kept long enough; returns how many."""
    old = delete(RunProgress).where(RunProgress.at < func.clock_timestamp() - literal(KEPT))
    return session.execute(old).rowcount  # type: ignore[attr-defined, no-any-return]
