"""Deletion-stable negatives: a pure function of ids, so that every deletion removes exactly its own terms.

Draw k of the positive (u, i) is a 64-bit hash x of (seed, u, i, k). On the ring of 64-bit numbers every item j owns a
window of 2^64 / n_items_0 numbers that starts at a hash of (seed, j); the draw makes j a negative of u exactly if x
falls into j's window. So:

- whether the negative (u, i, k, j) exists depends on these four ids and on nothing else: not on other interactions, not
  on the order of rows, not on which other items there are;
- removing the interaction (u, i) removes exactly its own negatives, removing the item j exactly those that point to it;
- nothing that is stored remembers an id that was removed;
- each draw has one negative on average over items placed at random, whatever happens to other items.

There is no rejection against what the user has met: it would make one interaction's negatives depend on another's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alteraser.interactions import Interactions

RING = 1 << 64
GOLDEN = 0x9E3779B97F4A7C15


def negatives(
    data: Interactions, *, seed: int, per_positive: int, n_items_0: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the user rows and the item rows of all negatives, in no particular order; pairs may repeat.

    Args:
        data: The positives.
        seed: Chooses one such function.
        per_positive: Draws for each positive.
        n_items_0: The number of items at training, fixed with the model: the windows' width must not follow deletions.
    """
    keys = _positive_keys(data, seed)
    users = np.repeat(np.arange(data.n_users), data.by_user.counts)
    ring = _Ring(_hashed(data.items.ids, seed, b"window"), n_items_0)
    draws = [ring.owners(_mixed(keys + np.uint64((k + 1) * GOLDEN % RING))) for k in range(per_positive)]
    found_users = [users[which] for which, _ in draws]
    found_items = [items for _, items in draws]
    empty = np.zeros(0, dtype=np.int64)
    return np.concatenate([empty, *found_users]), np.concatenate([empty, *found_items])


class _Ring:
    """The items' windows on the ring of 64-bit numbers.

    Args:
        starts: (n_items,) uint64, where each window starts.
        n_items_0: A window is this part of the ring.
    """

    def __init__(self, starts: NDArray[np.uint64], n_items_0: int) -> None:
        order = np.argsort(starts, kind="stable")
        self._starts = starts[order]
        self._order = np.concatenate([order, order])  # a window may begin before and end after the ring's seam
        self._width = np.uint64(min(RING // max(n_items_0, 1), RING - 1))

    def owners(self, x: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return which numbers fall into whose window, one entry a window: (m,) positions in x, (m,) items."""
        behind = x - self._width  # windows that start after this and not after x hold x
        first = np.searchsorted(self._starts, behind, side="right")
        stop = np.searchsorted(self._starts, x, side="right") + np.where(behind > x, len(self._starts), 0)
        counts = stop - first
        which = np.repeat(np.arange(len(x)), counts)
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self._order[first[which] + within]


def _positive_keys(data: Interactions, seed: int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of (seed, u, i) for every interaction, (nnz,) by user."""
    users = _hashed(data.users.ids, seed, b"user")
    items = _hashed(data.items.ids, seed, b"item")
    return _mixed(_mixed(np.repeat(users, data.by_user.counts)) + items[data.by_user.indices])


def _hashed(ids: Sequence[str], seed: int, role: bytes) -> NDArray[np.uint64]:
    """Return a 64-bit hash of (seed, role, id) for every id."""
    salt = seed.to_bytes(16, "little", signed=True)
    digests = (hashlib.blake2b(id.encode(), digest_size=8, salt=salt, person=role).digest() for id in ids)
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the output function of SplitMix64, a bijection of 64 bits (Steele, Lea, Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed
