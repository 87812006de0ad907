"""Entries of the log: canonical JSON of what happened, appended when its transaction is about to commit.

A change says what it did with `enter`; `append_entered` writes all of a transaction's entries at its end. Appending
locks the head of the log until the commit, so it must be the last lock a transaction takes: then nobody who waits
for it holds up whoever has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from ledger import merkle
from ledger.arrays import insert_all
from ledger.errors import NoSuchEntry
from ledger.log import tree
from ledger.merkle import Node
from ledger.tables import LogEntry, LogHead, LogNode

PENDING = "entries to append"

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Appended:
    """An entry that stands in the log.

    Attributes:
        index: Its place, from 0.
        entry: What was hashed, as text.
        size: Entries the log had after it and those appended with it.
    """

    index: int
    entry: str
    size: int


def enter(session: Session, event: str, **facts: Any) -> None:
    """Have it stand in the log, if this transaction commits, that something happened.

    Args:
        session: The transaction in which it happened.
        event: What, in past-tense snake words.
        facts: Ids, digests, numbers; never an identity, and no float: its spelling is not canonical.
    """
    session.info.setdefault(PENDING, []).append({"event": event, **facts})


def append_entered(session: Session) -> None:
    """Append what the transaction has entered. Nothing may be locked after it."""
    entered = session.info.pop(PENDING, [])
    if entered:
        _append(session, entered)


def append(session: Session, happened: Sequence[Facts]) -> list[Appended]:
    """Append what the transaction has entered, and these, at once; where these stand. Nothing may be locked after it.

    Args:
        session: The transaction.
        happened: What `enter` takes as its event and facts, one mapping for each entry; at least one.
    """
    entered = session.info.pop(PENDING, [])
    return _append(session, [*entered, *happened])[len(entered) :]


def entry(session: Session, index: int) -> str:
    """The entry at a place.

    Raises:
        NoSuchEntry: The log is not so long.
    """
    found = session.scalar(select(LogEntry.entry).where(LogEntry.index == index))
    if found is None:
        raise NoSuchEntry(index)
    return found


def canonical(facts: Facts) -> str:
    """JSON with sorted keys and without spaces, in ASCII: equal facts have equal bytes.

    Raises:
        TypeError: There is something in it that has no one spelling.
    """
    return json.dumps(_spelled(facts), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _append(session: Session, happened: Sequence[Facts]) -> list[Appended]:
    longer = update(LogHead).values(size=LogHead.size + len(happened))
    size, at = session.execute(longer.returning(LogHead.size, func.clock_timestamp())).one()
    start = size - len(happened)
    entries = [canonical({"at": at, **facts}) for facts in happened]
    leaves = [merkle.leaf_hash(each.encode("ascii")) for each in entries]
    edge = tree.hashes(session, merkle.whole_subtrees((0, start)))
    _store_entries(session, start, entries)
    _store_nodes(session, merkle.grown(edge, start, leaves))
    return [Appended(index, each, size) for index, each in enumerate(entries, start)]


def _store_entries(session: Session, start: int, entries: list[str]) -> None:
    insert_all(session, LogEntry, {"index": range(start, start + len(entries)), "entry": entries})


def _store_nodes(session: Session, gained: Mapping[Node, bytes]) -> None:
    levels, places = zip(*gained, strict=True)
    insert_all(session, LogNode, {"level": levels, "place": places, "hash": list(gained.values())})


def _spelled(value: Any) -> Any:
    """The value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _spelled(each) for key, each in value.items()}
    if isinstance(value, str | int | None):
        return value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [_spelled(each) for each in value]
    raise TypeError(f"a {type(value).__name__} has no canonical spelling")
