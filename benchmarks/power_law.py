"""Made-up interactions of any size: few users and items that have many, and tastes; drawn without anything dense."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alteraser.interactions import Interactions, Vocabulary

N_TASTES = 32
WITHIN_TASTE = 0.5
"""Share of the draws in which a user picks among the items of the user's own taste."""

ACTIVITY, POPULARITY = 0.8, 1.0
"""Exponents: the r-th most active user weighs ``(r + HEAD)^-ACTIVITY``, the r-th most popular item likewise."""

HEAD = 20
"""At the size of MovieLens-100K the first user and item then have about 5 % of the other side, as they have there."""

MARGIN = 1.25
"""So many more are drawn than are missing, as some are there already; what is too much is dropped at random."""

SMALL = (100_000, 943, 1_682)
LARGE = (10_000_000, 1_000_000, 100_000)
"""(interactions, users, items) between which sizes are interpolated."""


def shape_of(n_interactions: int) -> tuple[int, int]:
    """Return how many users and items go with that many interactions: geometric between `SMALL` and `LARGE`."""
    t = np.log(n_interactions / SMALL[0]) / np.log(LARGE[0] / SMALL[0])
    users, items = (round(small * (large / small) ** t) for small, large in zip(SMALL[1:], LARGE[1:], strict=True))
    return users, items


def power_law(n_users: int, n_items: int, n_interactions: int, seed: int) -> Interactions:
    """Return exactly that many distinct interactions; every user has at least one.

    Users pick by popularity, half of the time among the items of their own taste. Ids are the rows' numbers.

    Args:
        n_users: Users.
        n_items: Items.
        n_interactions: At least n_users, and well below n_users * n_items: pairs are drawn until enough are distinct.
        seed: Of the draws.
    """
    generator = np.random.default_rng(seed)
    activity = generator.permutation((np.arange(n_users) + HEAD) ** -ACTIVITY)
    popularity = np.cumsum(generator.permutation((np.arange(n_items) + HEAD) ** -POPULARITY))
    cells = _cells(generator, np.arange(n_users), popularity, n_users)
    upper = np.cumsum(activity)
    while (missing := n_interactions - len(cells)) > 0:
        users = np.searchsorted(upper, generator.random(round(MARGIN * missing)) * upper[-1], side="right")
        more = np.setdiff1d(_cells(generator, users, popularity, n_users), cells, assume_unique=True)
        cells = np.concatenate([cells, generator.permutation(more)[:missing]])
    users, items = np.divmod(cells, n_items)
    return Interactions.from_rows(_vocabulary(n_users), _vocabulary(n_items), users, items)


def _cells(
    generator: np.random.Generator, users: NDArray[np.int64], popularity: NDArray[np.float64], n_users: int
) -> NDArray[np.int64]:
    """Return the distinct pairs, as ``user * n_items + item``, when each of these users picks an item.

    Items of one taste are neighbours, and so are users of one.
    """
    n_items = len(popularity)
    taste = users * N_TASTES // n_users
    edges = np.concatenate(([0.0], popularity))[np.arange(N_TASTES + 1) * n_items // N_TASTES]
    own = generator.random(len(users)) < WITHIN_TASTE
    low, high = np.where(own, edges[taste], 0.0), np.where(own, edges[taste + 1], popularity[-1])
    picked = np.searchsorted(popularity, low + generator.random(len(users)) * (high - low), side="right")
    cells: NDArray[np.int64] = np.unique(users * n_items + np.minimum(picked, n_items - 1))
    return cells


def _vocabulary(n: int) -> Vocabulary:
    return Vocabulary(tuple(map(str, range(n))))
