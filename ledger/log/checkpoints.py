"""The log's checkpoints: signed when it has grown, and kept for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ledger.checkpoints import Checkpoint, NoteSigner, signed
from ledger.encoding import base64_of
from ledger.errors import NoCheckpoint
from ledger.log import tree
from ledger.log.entries import Appended
from ledger.tables import LogCheckpoint


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that was made here.

    Attributes:
        size: Entries the log had.
        note: The signed note.
        signed_at: When, by the database's clock.
    """

    size: int
    note: str
    signed_at: datetime


def checkpoint(session: Session, signer: NoteSigner) -> str | None:
    """The note of the log as it is, signed now if it has grown since that was done last; None where it is empty."""
    size = tree.size(session)
    if size == 0:
        return None
    kept = session.get(LogCheckpoint, size)
    return sign(session, signer, size) if kept is None else kept.note


def sign(session: Session, signer: NoteSigner, size: int) -> str:
    """Sign the log's first `size` entries, and keep the note."""
    note = signed(Checkpoint(tree.origin(session), size, tree.root(session, size)), signer)
    session.execute(upsert(LogCheckpoint).values(size=size, note=note).on_conflict_do_nothing())
    return note


def latest(session: Session) -> Kept:
    """The last checkpoint.

    Raises:
        NoCheckpoint: There is none yet.
    """
    found = session.scalar(select(LogCheckpoint).order_by(LogCheckpoint.size.desc()).limit(1))
    if found is None:
        raise NoCheckpoint
    return Kept(found.size, found.note, found.signed_at)


def all_kept(session: Session) -> Sequence[Kept]:
    """Every checkpoint made here, smallest log first."""
    found = session.scalars(select(LogCheckpoint).order_by(LogCheckpoint.size))
    return [Kept(each.size, each.note, each.signed_at) for each in found]


def proven(session: Session, appended: Sequence[Appended], signer: NoteSigner) -> list[dict[str, Any]]:
    """What receipts say of their entries, appended at once: where each is, its text, the proof, and a checkpoint."""
    size = appended[0].size
    checkpoint = sign(session, signer, size)
    proofs = tree.inclusions(session, [each.index for each in appended], size)
    return [
        {
            "index": each.index,
            "entry": each.entry,
            "inclusion": [base64_of(hashed) for hashed in proof],
            "checkpoint": checkpoint,
        }
        for each, proof in zip(appended, proofs, strict=True)
    ]
