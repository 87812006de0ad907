"""Who met what: the sparse matrix of interactions, by user and by item, with the ids it is about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from alteraser.deletions import Deletions
from alteraser.errors import InvalidInteractions, VocabularyMismatch

IdColumn: TypeAlias = Sequence[str] | NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The ids of users or of items, in the order of their rows; its text tells how many, never which.

    Attributes:
        ids: Row r belongs to ``ids[r]``; no id occurs twice.

    Raises:
        InvalidInteractions: An id occurs twice.
    """

    ids: tuple[str, ...]
    _row_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        row_of = dict(zip(self.ids, range(len(self.ids)), strict=True))
        if len(row_of) != len(self.ids):
            raise InvalidInteractions("an id occurs twice in a vocabulary")
        object.__setattr__(self, "_row_of", row_of)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids)"

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: object) -> bool:
        return id in self._row_of

    def row(self, id: str) -> int | None:
        """The row of an id, or None where it is unknown."""
        return self._row_of.get(id)

    def rows(self, ids: Iterable[str]) -> NDArray[np.int64]:
        """The rows of those ids that are known, in the order given."""
        known = (self._row_of.get(id) for id in ids)
        return np.array([row for row in known if row is not None], dtype=np.int64)

    def take(self, kept: NDArray[np.bool_]) -> Vocabulary:
        """The ids whose rows are kept, in the same order; itself where that is all of them."""
        if kept.all():
            return self
        return Vocabulary(tuple(id for id, keep in zip(self.ids, kept.tolist(), strict=True) if keep))


def rows_in(child: Vocabulary, parent: Vocabulary) -> NDArray[np.int64]:
    """The row in `parent` of every id of `child`, shape (len(child),).

    Raises:
        VocabularyMismatch: The parent lacks an id of the child.
    """
    rows = parent.rows(child.ids)
    if len(rows) != len(child):
        raise VocabularyMismatch(n_missing=len(child) - len(rows))
    return rows


class Csr(NamedTuple):
    """Compressed sparse rows without values; the indices of each row strictly increase.

    Attributes:
        indptr: (n_rows + 1,) row r is ``indices[indptr[r]:indptr[r + 1]]``.
        indices: (nnz,) column of each entry.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Entries in each row, shape (n_rows,)."""
        return np.diff(self.indptr)

    def row(self, r: int) -> NDArray[np.int32]:
        """The columns of row `r`, increasing."""
        return self.indices[self.indptr[r] : self.indptr[r + 1]]

    def position(self, r: int, column: int) -> int | None:
        """Where in `indices` the entry (r, column) stands, or None where it is not set."""
        row = self.row(r)
        offset = int(np.searchsorted(row, column))
        found = offset < len(row) and row[offset] == column
        return int(self.indptr[r]) + offset if found else None

    def take(self, rows: NDArray[np.int64]) -> Csr:
        """Those rows, in the order given, as a matrix of their own."""
        counts = self.counts[rows]
        indptr = _indptr(counts)
        shift = np.repeat(self.indptr[rows] - indptr[:-1], counts)
        return Csr(indptr, self.indices[shift + np.arange(indptr[-1])])


@dataclass(frozen=True, eq=False)
class Interactions:
    """A set of (user, item) pairs over two vocabularies; immutable, compared by `digest()`.

    A user or an item may have no interaction and still have a row.

    Attributes:
        users: Ids of the rows of `by_user`.
        items: Ids of the rows of `by_item`.
        by_user: (n_users, n_items) item rows of each user.
        by_item: (n_items, n_users) user rows of each item.
        item_order: (nnz,) ``values_by_item = values_by_user[item_order]``.
    """

    users: Vocabulary
    items: Vocabulary
    by_user: Csr
    by_item: Csr
    item_order: NDArray[np.int64]

    @classmethod
    def from_pairs(cls, users: IdColumn, items: IdColumn) -> Interactions:
        """The distinct pairs ``(users[k], items[k])``; ids in order of first appearance.

        Raises:
            InvalidInteractions: The two are not of one length.
        """
        if len(users) != len(items):
            raise InvalidInteractions(f"{len(users)} users beside {len(items)} items")
        user_rows, user_vocabulary = _factorise(users)
        item_rows, item_vocabulary = _factorise(items)
        return cls.from_rows(user_vocabulary, item_vocabulary, user_rows, item_rows)

    @classmethod
    def from_rows(
        cls, users: Vocabulary, items: Vocabulary, user_rows: NDArray[np.int64], item_rows: NDArray[np.int64]
    ) -> Interactions:
        """The distinct pairs of rows ``(user_rows[k], item_rows[k])``.

        Raises:
            InvalidInteractions: A row is outside its vocabulary.
        """
        if not _within(user_rows, len(users)) or not _within(item_rows, len(items)):
            raise InvalidInteractions("a row is outside its vocabulary")
        cells = np.sort(user_rows * len(items) + item_rows)
        distinct = cells[np.diff(cells, prepend=-1) > 0]
        user_of, item_of = np.divmod(distinct, max(len(items), 1))
        indptr = _indptr(np.bincount(user_of, minlength=len(users)))
        return cls.from_csr(users, items, Csr(indptr, item_of.astype(np.int32)))

    @classmethod
    def from_csr(cls, users: Vocabulary, items: Vocabulary, by_user: Csr) -> Interactions:
        """The pairs of a matrix whose rows are sorted and free of duplicates.

        Raises:
            InvalidInteractions: It is not such a matrix over these vocabularies.
        """
        _check(by_user, n_rows=len(users), n_columns=len(items))
        by_item, item_order = _transposed(by_user, n_columns=len(items))
        return cls(users, items, by_user, by_item, item_order)

    @property
    def n_users(self) -> int:
        """Rows of users, those without interactions included."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Rows of items, those without interactions included."""
        return len(self.items)

    def __repr__(self) -> str:
        return f"Interactions({len(self)} of {self.n_users} users and {self.n_items} items)"

    def __len__(self) -> int:
        return len(self.by_user.indices)

    def items_of(self, user_id: str) -> list[str]:
        """The ids of the user's items, in row order; none for an unknown user."""
        row = self.users.row(user_id)
        return [] if row is None else [self.items.ids[item] for item in self.by_user.row(row)]

    def without(self, deletions: Deletions) -> Interactions:
        """What is kept when these are forgotten.

        The ids of erased users and items leave the vocabularies too, and so do those of users and items that
        this leaves without any interaction: an id is data. The rest keeps its order. Unknown ids are ignored;
        where nothing is left to forget the answer is this very object.
        """
        gone_users = self.users.rows(deletions.subjects)
        gone_items = self.items.rows(deletions.items)
        kept = np.ones(len(self), dtype=np.bool_)
        kept[self._positions(gone_users, gone_items, deletions.pairs)] = False
        if kept.all() and not len(gone_users) and not len(gone_items):
            return self
        lost_by = np.searchsorted(self.by_user.indptr, np.flatnonzero(~kept), side="right") - 1
        kept_users = _still_met(self.by_user.counts, lost_by) & _all_but(gone_users, self.n_users)
        kept_items = _still_met(self.by_item.counts, self.by_user.indices[~kept]) & _all_but(gone_items, self.n_items)
        return self._restricted(kept, kept_users, kept_items)

    def pairs_of(self, deletions: Deletions) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The user rows and the item rows of the interactions these deletions are about, each pair once."""
        gone_users, gone_items = self.users.rows(deletions.subjects), self.items.rows(deletions.items)
        positions = np.unique(self._positions(gone_users, gone_items, deletions.pairs))
        users = np.searchsorted(self.by_user.indptr, positions, side="right") - 1
        return users, self.by_user.indices[positions].astype(np.int64)

    def over(self, users: Vocabulary, items: Vocabulary) -> Interactions:
        """The interactions whose user and item are in these vocabularies, as a matrix over them."""
        new_user = np.array([-1 if (row := users.row(id)) is None else row for id in self.users.ids], dtype=np.int64)
        new_item = np.array([-1 if (row := items.row(id)) is None else row for id in self.items.ids], dtype=np.int64)
        user_rows = np.repeat(new_user, self.by_user.counts)
        item_rows = new_item[self.by_user.indices]
        known = (user_rows >= 0) & (item_rows >= 0)
        return Interactions.from_rows(users, items, user_rows[known], item_rows[known])

    def digest(self) -> str:
        """SHA-256, in hex, of the ids in their order and the pairs; equal exactly where the content is."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        ids = json.dumps([self.users.ids, self.items.ids], separators=(",", ":")).encode()
        content = hashlib.sha256(ids + b"\n")
        content.update(self.by_user.indptr.astype("<i8", copy=False).tobytes())
        content.update(self.by_user.indices.astype("<i4", copy=False).tobytes())
        return content.hexdigest()

    def _positions(
        self, users: NDArray[np.int64], items: NDArray[np.int64], pairs: Iterable[tuple[str, str]]
    ) -> NDArray[np.int64]:
        """Where in `by_user.indices` the interactions of these users and items, and these pairs, stand."""
        of_users = [np.arange(self.by_user.indptr[u], self.by_user.indptr[u + 1]) for u in users]
        of_items = [self.item_order[self.by_item.indptr[i] : self.by_item.indptr[i + 1]] for i in items]
        known = (self._position(user, item) for user, item in pairs)
        of_pairs = np.array([position for position in known if position is not None], dtype=np.int64)
        return np.concatenate([*of_users, *of_items, of_pairs])

    def _position(self, user_id: str, item_id: str) -> int | None:
        user, item = self.users.row(user_id), self.items.row(item_id)
        return None if user is None or item is None else self.by_user.position(user, item)

    def _restricted(
        self, kept: NDArray[np.bool_], kept_users: NDArray[np.bool_], kept_items: NDArray[np.bool_]
    ) -> Interactions:
        """The interactions `kept` over the users and items kept; none may belong to one that is not."""
        gone_from = np.searchsorted(self.by_user.indptr, np.flatnonzero(~kept), side="right") - 1
        counts = self.by_user.counts - np.bincount(gone_from, minlength=self.n_users)
        row_after = np.cumsum(kept_items, dtype=np.int32) - np.int32(1)
        by_user = Csr(_indptr(counts[kept_users]), row_after[self.by_user.indices[kept]])
        return Interactions.from_csr(self.users.take(kept_users), self.items.take(kept_items), by_user)


def _factorise(ids: IdColumn) -> tuple[NDArray[np.int64], Vocabulary]:
    """The row of each id, shape (len(ids),), and the vocabulary in order of first appearance."""
    vocabulary = Vocabulary(tuple(dict.fromkeys(ids)))
    return np.fromiter(map(vocabulary._row_of.__getitem__, ids), np.int64, len(ids)), vocabulary


def _indptr(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each row starts, and the end, shape (n_rows + 1,)."""
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def _still_met(counts: NDArray[np.int64], lost: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which rows have an entry left, or had none before, when each row in `lost` loses one; shape of `counts`."""
    still_met: NDArray[np.bool_] = (counts == 0) | (counts > np.bincount(lost, minlength=len(counts)))
    return still_met


def _all_but(rows: NDArray[np.int64], n_rows: int) -> NDArray[np.bool_]:
    kept = np.ones(n_rows, dtype=np.bool_)
    kept[rows] = False
    return kept


def _transposed(rows: Csr, n_columns: int) -> tuple[Csr, NDArray[np.int64]]:
    """The same entries by column, and where each of them stood."""
    places = np.arange(len(rows.indices))
    shape = (len(rows.indptr) - 1, n_columns)
    moved = csr_array((places, rows.indices, rows.indptr), shape=shape).tocsc()
    return Csr(moved.indptr.astype(np.int64), moved.indices.astype(np.int32)), moved.data


def _check(rows: Csr, n_rows: int, n_columns: int) -> None:
    indptr, indices = rows
    if indptr.dtype != np.int64 or indices.dtype != np.int32:
        raise InvalidInteractions("indptr must be int64 and indices int32")
    if len(indptr) != n_rows + 1 or indptr[0] != 0 or indptr[-1] != len(indices) or (rows.counts < 0).any():
        raise InvalidInteractions("indptr does not divide the indices into one row per id")
    if not _within(indices, n_columns):
        raise InvalidInteractions("an index is outside the vocabulary")
    if not _increase_within_rows(rows):
        raise InvalidInteractions("the indices of a row must strictly increase")


def _within(rows: NDArray[np.int64] | NDArray[np.int32], n_rows: int) -> bool:
    return not len(rows) or bool(rows.min() >= 0 and rows.max() < n_rows)


def _increase_within_rows(rows: Csr) -> bool:
    steps_up = np.diff(rows.indices) > 0
    row_starts = rows.indptr[1:-1]
    between_rows = row_starts[(row_starts > 0) & (row_starts < len(rows.indices))] - 1
    steps_up[between_rows] = True
    return bool(steps_up.all())
