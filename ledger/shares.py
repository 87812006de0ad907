"""Shares: how one request that fails every run it is in comes to be alone, and the others come through.

A run takes all that is due. Where it fails on account of what it was asked, its requests are divided into two shares,
the older half and the younger, and no run takes more than one share: after so many failures as n can be halved the
request at fault is alone, and whatever it shared a run with has been tried again without it. One failure makes one
share more, so a fault that was in none of them after all costs as many runs as it had failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ledger.among import among
from ledger.tables import DeletionRequest, RequestModel


class Due(Protocol):
    """A request that is due: the share it is in, None for the undivided, and since when."""

    @property
    def share(self) -> UUID | None:
        """Its share."""

    @property
    def due_since(self) -> datetime:
        """When it was recorded, or when its pause was over."""


D = TypeVar("D", bound=Due)


def first_due(due: Sequence[D]) -> Sequence[D]:
    """The requests of the share that has been due longest, in the order given; all undivided ones are one share."""
    if not due:
        return due
    first = min(due, key=lambda request: request.due_since)
    return [request for request in due if request.share == first.share]


def divide(session: Session, model: str, request_ids: Sequence[UUID]) -> bool:
    """Put the requests into two shares; False where there is only one, which nobody else waits for."""
    if len(request_ids) < 2:
        return False
    oldest_first = select(DeletionRequest.id).order_by(DeletionRequest.sequence)
    ordered = session.scalars(oldest_first.where(among(DeletionRequest.id, request_ids))).all()
    middle = len(ordered) // 2
    for half in (ordered[:middle], ordered[middle:]):
        session.execute(
            update(RequestModel)
            .where(RequestModel.model == model, among(RequestModel.request_id, half))
            .values(share=uuid4())
        )
    return True
