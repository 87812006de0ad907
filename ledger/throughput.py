"""How fast requests go through: how many came and went, and how long the latest took to each of their clocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, func, literal, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ledger.tables import DeletionRequest, Utc

LATEST = 10_000
"""Requests the percentiles are of: what a page costs does not grow with the ledger."""
SHARES = (0.5, 0.95, 0.99)
CLOCKS = ("suppressed_at", "unlearned_at", "completed_at")


Clock: TypeAlias = InstrumentedAttribute[Any]


@dataclass(frozen=True, slots=True)
class Interval:
    """What happened in one stretch of time.

    Attributes:
        start: When it began.
        recorded: Requests recorded in it.
        completed: Requests completed in it.
    """

    start: datetime
    recorded: int
    completed: int


@dataclass(frozen=True, slots=True)
class Percentiles:
    """How long the latest requests took from recording to one of the later clocks.

    Attributes:
        clock: Which.
        count: How many got there.
        p50_s: Seconds within which half of them did; None where none did.
        p95_s: The same of 95 %.
        p99_s: The same of 99 %.
    """

    clock: str
    count: int
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time to look at.

    Attributes:
        width: Of one interval.
        n: How many intervals.
    """

    width: timedelta
    n: int


SPANS = MappingProxyType(
    {
        "hour": Span(timedelta(minutes=1), 60),
        "day": Span(timedelta(minutes=30), 48),
        "month": Span(timedelta(days=1), 30),
    }
)


def intervals(session: Session, span: Span) -> Sequence[Interval]:
    """What happened in each interval up to now, the earliest first; those in which nothing did are there too."""
    now = session.execute(select(_start_of(func.clock_timestamp(), span))).scalar_one()
    starts = [now - k * span.width for k in reversed(range(span.n))]
    recorded = _counted(session, DeletionRequest.recorded_at, span, starts[0])
    completed = _counted(session, DeletionRequest.completed_at, span, starts[0])
    return [Interval(start, recorded.get(start, 0), completed.get(start, 0)) for start in starts]


def percentiles(session: Session) -> Sequence[Percentiles]:
    """How long the latest requests took, by the later clocks in their order."""
    latest = select(DeletionRequest).order_by(DeletionRequest.sequence.desc()).limit(LATEST).subquery()
    columns: list[ColumnElement[Any]] = []
    for clock in CLOCKS:
        took_s = func.extract("epoch", latest.c[clock] - latest.c.recorded_at)
        columns.append(func.count(latest.c[clock]))
        columns += [func.percentile_cont(share).within_group(took_s) for share in SHARES]
    row = session.execute(select(*columns)).one()
    each = len(SHARES) + 1
    return [_percentiles(clock, row[k * each : (k + 1) * each]) for k, clock in enumerate(CLOCKS)]


def _percentiles(clock: str, found: Sequence[float | None]) -> Percentiles:
    count, *seconds = found
    p50_s, p95_s, p99_s = (None if each is None else float(each) for each in seconds)
    return Percentiles(clock.removesuffix("_at"), int(count or 0), p50_s, p95_s, p99_s)


def _counted(session: Session, clock: Clock, span: Span, since: datetime) -> dict[datetime, int]:
    start = _start_of(clock, span)
    found = session.execute(select(start, func.count()).where(clock >= since).group_by(start))
    return {row[0]: row[1] for row in found}


def _start_of(moment: ColumnElement[Any] | Clock, span: Span) -> ColumnElement[datetime]:
    """When the interval began that has this moment."""
    return func.date_bin(literal(span.width), moment, func.to_timestamp(0), type_=Utc())
