"""The log's tree as it is stored: roots and proofs from the hashes of whole subtrees, without reading an entry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from sqlalchemy import BigInteger, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from ledger import merkle
from ledger.errors import ProofOutOfRange
from ledger.merkle import Node, Range
from ledger.tables import LogHead, LogNode


def origin(session: Session) -> str:
    """The log's name."""
    return session.execute(select(LogHead.origin)).scalar_one()


def size(session: Session) -> int:
    """How many entries the log has."""
    return session.execute(select(LogHead.size)).scalar_one()


def root(session: Session, size: int) -> bytes:
    """The hash of the first `size` entries.

    Raises:
        ProofOutOfRange: The log is not so long.
    """
    return _answer(session, [(0, size)], size)[0]


def inclusion(session: Session, index: int, size: int) -> list[bytes]:
    """The proof that the entry at `index` is among the first `size` (RFC 6962, 2.1.1).

    Raises:
        ProofOutOfRange: The log is not so long, or the entry comes later.
    """
    return inclusions(session, [index], size)[0]


def inclusions(session: Session, indices: Iterable[int], size: int) -> list[list[bytes]]:
    """One such proof for each entry; hashes that several need are read once.

    Raises:
        ProofOutOfRange: The log is not so long, or an entry comes later.
    """
    wanted = list(indices)
    if not all(0 <= index < size for index in wanted):
        raise ProofOutOfRange(size)
    paths = [merkle.inclusion(index, size) for index in wanted]
    answers = iter(_answer(session, [each for path in paths for each in path], size))
    return [list(islice(answers, len(path))) for path in paths]


def consistency(session: Session, first: int, size: int) -> list[bytes]:
    """The proof that the first `size` entries begin with what the first `first` were (RFC 6962, 2.1.2).

    Raises:
        ProofOutOfRange: The log is not so long, or `first` is not between 1 and `size`.
    """
    if not 1 <= first <= size:
        raise ProofOutOfRange(size)
    return _answer(session, merkle.consistency(first, size), size)


def hashes(session: Session, nodes: Iterable[Node]) -> dict[Node, bytes]:
    """The hashes of those whole subtrees that there are."""
    wanted = list(nodes)
    if not wanted:
        return {}
    levels, places = (literal(list(column), ARRAY(BigInteger)) for column in zip(*wanted, strict=True))
    named = func.unnest(levels, places).table_valued("level", "place").render_derived()
    found = select(LogNode.level, LogNode.place, LogNode.hash).where(
        tuple_(LogNode.level, LogNode.place).in_(select(named.c.level, named.c.place))
    )
    return {Node(level, place): value for level, place, value in session.execute(found)}


def _answer(session: Session, ranges: Sequence[Range], size_: int) -> list[bytes]:
    """The hash of each range."""
    if not 0 <= size_ <= size(session):
        raise ProofOutOfRange(size_)
    stored = hashes(session, merkle.needed(ranges))
    return [merkle.range_hash(leaves, stored) for leaves in ranges]
