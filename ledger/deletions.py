"""What requests ask to delete, read from their rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from alteraser.deletions import Deletions
from ledger.tables import OPEN_STATES, DeletionRequest

Kind = Literal["subject", "interactions", "item"]


def scope_of(kind: str) -> str:
    """Which ids a deletion of that kind suppresses: those of users, or of items."""
    return "item" if kind == "item" else "user"


def open_deletions(session: Session) -> Deletions:
    """Everything asked for and not yet deleted: what training must leave out."""
    asked = select(DeletionRequest.kind, DeletionRequest.subject, DeletionRequest.payload)
    rows = session.execute(asked.where(DeletionRequest.state.in_(OPEN_STATES)))
    return combined((row.kind, row.subject, row.payload) for row in rows)


def combined(asked: Iterable[tuple[str, str | None, dict[str, Any] | None]]) -> Deletions:
    """One set of deletions of many requests' (kind, subject, payload)."""
    subjects: set[str] = set()
    items: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for kind, subject, payload in asked:
        if subject is None:
            continue
        if kind == "subject":
            subjects.add(subject)
        elif kind == "item":
            items.add(subject)
        else:
            pairs.update((subject, item) for item in (payload or {}).get("items", ()))
    return Deletions(frozenset(subjects), frozenset(items), frozenset(pairs))
