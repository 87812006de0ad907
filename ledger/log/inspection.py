"""The log against everything that was ever signed of it: a changed row, a cut log and a rewritten history each show.

Leaves and roots are computed anew from the entries, and the stored hashes, which proofs are made of, have to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ledger import checkpoints, merkle
from ledger.checkpoints import Checkpoint
from ledger.errors import CheckpointInvalid
from ledger.log import tree
from ledger.log.checkpoints import all_kept
from ledger.tables import LogEntry, LogNode

PER_FETCH = 10_000
MOST_NAMED = 5
WRONG_INNER = text("""
    SELECT count(*) FROM log_nodes AS inner_node
    LEFT JOIN log_nodes AS l ON l.level = inner_node.level - 1 AND l.place = 2 * inner_node.place
    LEFT JOIN log_nodes AS r ON r.level = inner_node.level - 1 AND r.place = 2 * inner_node.place + 1
    WHERE inner_node.level > 0 AND inner_node.hash IS DISTINCT FROM sha256('\\x01'::bytea || l.hash || r.hash)
""")


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found.

    Attributes:
        size: Entries in the log.
        root: Their root.
        n_checkpoints: Checkpoints that were compared, wherever they are kept.
        faults: What is wrong, a sentence each; none where the log is what was signed.
        lost: What a restore has taken from the log, which the log itself says: no fault, but worth knowing.
    """

    size: int
    root: bytes
    n_checkpoints: int
    faults: tuple[str, ...]
    lost: tuple[str, ...]


def inspect(session: Session, jwks: Mapping[str, Any], journaled: Sequence[tuple[str, bool]] = ()) -> Inspection:
    """Compute the log anew and compare it with its stored hashes and with every checkpoint.

    Args:
        session: The transaction.
        jwks: The public keys of all receipts.
        journaled: Checkpoints that the erasure journal keeps, each with whether a restore was noticed since.
    """
    faults: list[str] = []
    kept = [(each.note, False) for each in all_kept(session)]
    signed = list(_signed([*kept, *journaled], jwks, tree.origin(session), faults))
    roots, size = _computed(session, {checkpoint.size for checkpoint, _ in signed}, faults)
    faults += _faults_of_nodes(session, size)
    lost: list[str] = []
    for checkpoint, is_before_restore in signed:
        found = _compared(checkpoint, roots, size)
        if found is not None:
            (lost if is_before_restore else faults).append(found)
    return Inspection(size, roots[size], len(signed), tuple(faults), tuple(lost))


def _signed(
    notes: Iterable[tuple[str, bool]], jwks: Mapping[str, Any], origin: str, faults: list[str]
) -> Iterator[tuple[Checkpoint, bool]]:
    """The checkpoints whose signature is good; a fault for each other."""
    for note, is_before_restore in dict.fromkeys(notes):
        try:
            checkpoint = checkpoints.verified(note, jwks)
        except CheckpointInvalid as error:
            faults.append(f"{error} (of size {note.split(chr(10))[1:2]})")
            continue
        if checkpoint.origin != origin:
            faults.append(f"the checkpoint of size {checkpoint.size} is of another log, {checkpoint.origin}")
        yield checkpoint, is_before_restore


def _computed(session: Session, sizes: set[int], faults: list[str]) -> tuple[dict[int, bytes], int]:
    """The roots of those sizes and of the whole log, and its length, from the entries alone."""
    roots = {0: merkle.EMPTY}
    edge: dict[merkle.Node, bytes] = {}
    changed: list[int] = []
    size = 0
    for index, entry, stored in _rows(session):
        if index != size:
            faults.append(f"entry {size} is missing")
            break
        leaf = merkle.leaf_hash(entry.encode())
        if leaf != stored:
            changed.append(index)
        edge |= merkle.grown(edge, size, [leaf])
        size += 1
        edge = {node: edge[node] for node in merkle.whole_subtrees((0, size))}
        if size in sizes:
            roots[size] = merkle.range_hash((0, size), edge)
    if changed:
        faults.append(f"changed since they were appended: entries {_few(changed)}")
    roots[size] = merkle.range_hash((0, size), edge)
    if size != tree.size(session):
        faults.append(f"the log has {size} entries, and its head counts {tree.size(session)}")
    return roots, size


def _rows(session: Session) -> Iterator[tuple[int, str, bytes | None]]:
    """Every entry with its stored leaf hash, in order."""
    leaf = (LogNode.level == 0) & (LogNode.place == LogEntry.index)
    wanted = select(LogEntry.index, LogEntry.entry, LogNode.hash).outerjoin(LogNode, leaf).order_by(LogEntry.index)
    found = session.execute(wanted, execution_options={"yield_per": PER_FETCH})
    try:
        yield from found
    finally:
        found.close()


def _faults_of_nodes(session: Session, size: int) -> list[str]:
    """What is wrong with the stored hashes above the leaves."""
    faults = []
    wrong = session.scalar(WRONG_INNER)
    if wrong:
        faults.append(f"{wrong} stored hashes are not those of their children")
    by_level = select(LogNode.level, func.count()).group_by(LogNode.level)
    counts = {level: count for level, count in session.execute(by_level)}  # noqa: C416 (a row is no pair to the checker)
    if counts != {level: size >> level for level in range(size.bit_length())}:
        faults.append("stored hashes are missing, or there are some too many")
    return faults


def _compared(checkpoint: Checkpoint, roots: Mapping[int, bytes], size: int) -> str | None:
    """What a checkpoint shows; None where the log begins with what it signed."""
    if checkpoint.size > size:
        return f"{checkpoint.size} entries were signed, and the log has {size}: it was cut"
    if roots[checkpoint.size] != checkpoint.root:
        return f"the first {checkpoint.size} entries are not those that were signed: history was rewritten"
    return None


def _few(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - MOST_NAMED} more" if len(numbers) > MOST_NAMED else ""
    return ", ".join(map(str, numbers[:MOST_NAMED])) + more
