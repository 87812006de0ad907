"""Deletions that come one after the other: every one of its own, drawn before the first is carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions

Rows = NDArray[np.int64]
Draw = np.random.Generator


class TooManyDeletions(ValueError):
    """More deletions than there is data for.

    Attributes:
        asked: How many were asked for.
        most: How many there can be.
    """

    def __init__(self, asked: int, most: int) -> None:
        super().__init__(f"{asked} deletions were asked for and at most {most} leave something to learn from")
        self.asked = asked
        self.most = most


def sequence(word: str, data: Interactions, n: int, seed: int) -> list[Deletions]:
    """Return ``n`` deletions of one user, interaction or item each; no two forget the same interaction.

    Args:
        word: A key of `SEQUENCES`.
        data: What is there to forget.
        n: How many.
        seed: Of the draw.

    Raises:
        TooManyDeletions: There are not so many.
    """
    draw, most = np.random.default_rng(seed), _most(word, data)
    if n > most:
        raise TooManyDeletions(n, most)
    return SEQUENCES[word](data, n, draw)


def all_of(deletions: list[Deletions]) -> Deletions:
    """Return them all as one."""
    return Deletions(
        frozenset(chain.from_iterable(each.subjects for each in deletions)),
        frozenset(chain.from_iterable(each.items for each in deletions)),
        frozenset(chain.from_iterable(each.pairs for each in deletions)),
    )


def _users(data: Interactions, n: int, draw: Draw) -> list[Deletions]:
    return [_user(data, row) for row in draw.permutation(data.n_users)[:n]]


def _items(data: Interactions, n: int, draw: Draw) -> list[Deletions]:
    return [_item(data, row) for row in draw.permutation(data.n_items)[:n]]


def _interactions(data: Interactions, n: int, draw: Draw) -> list[Deletions]:
    return [_pair(data, place) for place in draw.permutation(len(data))[:n]]


def _mix(data: Interactions, n: int, draw: Draw) -> list[Deletions]:
    """A third of each, in random order; the single interactions are of users and items that stay."""
    n_users, n_items = (n + 2) // 3, (n + 1) // 3
    users, items = draw.permutation(data.n_users)[:n_users], draw.permutation(data.n_items)[:n_items]
    stay = _staying(data, users, items)
    pairs = draw.permutation(stay)[: n - n_users - n_items]
    drawn = [
        *(_user(data, row) for row in users),
        *(_item(data, row) for row in items),
        *(_pair(data, place) for place in pairs),
    ]
    return [drawn[place] for place in draw.permutation(len(drawn))]


SEQUENCES: dict[str, Callable[[Interactions, int, Draw], list[Deletions]]] = {
    "users": _users,
    "items": _items,
    "interactions": _interactions,
    "mix": _mix,
}


def _most(word: str, data: Interactions) -> int:
    """How many there can be: half of what the smallest part of the draw is taken from."""
    whole = {"users": data.n_users, "items": data.n_items, "interactions": len(data)}
    return whole[word] // 2 if word in whole else min(whole.values()) // 2


def _user(data: Interactions, row: int) -> Deletions:
    return Deletions(subjects=frozenset([data.users.ids[row]]))


def _item(data: Interactions, row: int) -> Deletions:
    return Deletions(items=frozenset([data.items.ids[row]]))


def _pair(data: Interactions, place: int) -> Deletions:
    user = int(np.searchsorted(data.by_user.indptr, place, side="right")) - 1
    return Deletions(pairs=frozenset([(data.users.ids[user], data.items.ids[data.by_user.indices[place]])]))


def _staying(data: Interactions, users: Rows, items: Rows) -> Rows:
    """Where in ``by_user.indices`` the interactions stand that neither a user nor an item of these has."""
    of_user = np.repeat(np.arange(data.n_users), data.by_user.counts)
    return np.flatnonzero(~np.isin(of_user, users) & ~np.isin(data.by_user.indices, items))


def batches(deletions: list[Deletions], size: int) -> Iterator[Deletions]:
    """Yield them in the same order, ``size`` at a time as one."""
    return (all_of(deletions[start : start + size]) for start in range(0, len(deletions), size))
