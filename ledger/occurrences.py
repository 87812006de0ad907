"""How often something has happened that leaves no other row, and when last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ledger.tables import Occurrence

Name = Literal["sweep", "worker_deaf"]


@dataclass(frozen=True, slots=True)
class Seen:
    """How often it has happened, and how many seconds ago it last did."""

    count: int
    age_s: float


def note(session: Session, name: Name) -> None:
    """Count that it has happened now."""
    again = {"count": Occurrence.count + 1, "last_at": func.clock_timestamp()}
    session.execute(upsert(Occurrence).values(name=name).on_conflict_do_update(index_elements=["name"], set_=again))


def seen(session: Session) -> Mapping[str, Seen]:
    """What has happened at least once, by its name."""
    age_s = func.extract("epoch", func.clock_timestamp() - Occurrence.last_at)
    found = session.execute(select(Occurrence.name, Occurrence.count.label("n"), age_s.label("age_s")))
    return {row.name: Seen(row.n, float(row.age_s)) for row in found}
