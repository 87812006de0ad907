"""Which parents are superseded: what was made from them and not published never will be."""

from __future__ import annotations

from collections.abc import Set

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger.among import among
from ledger.tables import Model, Run


def lock_pointers(session: Session) -> None:
    """Let no pointer move until the transaction ends: nobody publishes meanwhile."""
    session.execute(select(Model.name).order_by(Model.name).with_for_update()).all()


def superseded(session: Session, parents: Set[str | None]) -> Set[str | None]:
    """Those of the parents that runs started from and that no run can publish a child of any more.

    A child is published only while its parent is current. None is the parent of a first training, and is
    superseded unless such a training is live. A parent that no run started from belongs to another ledger.
    """
    digests = [parent for parent in parents if parent is not None]
    started = select(Run.parent).where(or_(Run.parent.is_(None), among(Run.parent, digests)))
    current = session.scalars(select(Model.current).where(among(Model.current, digests)))
    live = session.scalars(select(Run.parent).where(Run.state == "live"))
    return (parents & set(session.scalars(started.distinct()))) - set(current) - set(live)
