"""Rollbacks: which earlier generations of a model may come back. None that holds data of a recorded erasure may."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.errors import NothingToReturnTo
from ledger.tables import DeletionRequest, Snapshot


def returnable(session: Session, model: str) -> Sequence[Snapshot]:
    """The superseded generations that are still kept and satisfy every request there is, newest first."""
    unsatisfied = select(DeletionRequest).where(
        DeletionRequest.sequence > Snapshot.watermark, DeletionRequest.state != "cancelled"
    )
    kept = select(Snapshot).where(
        Snapshot.model == model, Snapshot.superseded_at.is_not(None), Snapshot.destroyed_at.is_(None)
    )
    return session.scalars(kept.where(~unsatisfied.exists()).order_by(Snapshot.version.desc())).all()


def chosen(session: Session, model: str, version: int | None) -> Snapshot:
    """The generation of that version, or the newest where none is named, if it may come back.

    Raises:
        NothingToReturnTo: It may not, or there is none.
    """
    for generation in returnable(session, model):
        if version in (None, generation.version):
            return generation
    raise NothingToReturnTo(model, version)
