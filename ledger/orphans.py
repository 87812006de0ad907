"""Which folders on disk a run may still publish, asked while nobody can."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.tables import Model, Run


def publishable_parents(session: Session) -> frozenset[str | None]:
    """The parents whose children may still be published; no pointer moves until the transaction ends.

    A child is published only while its parent is current. None stands for the children of no parent, and is
    among them while a model that was never published is being trained.
    """
    pointers = session.scalars(select(Model).order_by(Model.name).with_for_update(key_share=True)).all()
    training = set(session.scalars(select(Run.model).where(Run.state == "live")))
    return frozenset(pointer.current for pointer in pointers if pointer.current or pointer.name in training)
