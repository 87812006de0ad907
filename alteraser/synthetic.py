"""Made-up data with the shape of real data: people with tastes, and few items that many choose."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from alteraser.errors import ImpossibleSize
from alteraser.interaction_log import InteractionLog

N_TASTES = 8
START = 978_307_200  # 2001-01-01 in unix seconds
SPAN_S = 730 * 86_400

COLOURS = ("Amber", "Black", "Crimson", "Golden", "Green", "Ivory", "Scarlet", "Silver", "Violet", "White")
THINGS = (
    "Bridge",
    "Garden",
    "Harbour",
    "Island",
    "Lantern",
    "Mirror",
    "Mountain",
    "Orchard",
    "River",
    "Tower",
)


def synthetic(n_users: int, n_items: int, n_interactions: int, seed: int) -> InteractionLog:
    """Exactly that many distinct interactions in order of time; users and items are ``"1"``, ``"2"`` ...

    A pair's propensity is a low-rank taste plus a long-tailed activity of the user and popularity of the
    item; the pairs are drawn without replacement. Every user has at least one; unpopular items may have none.
    Ratings 1 to 5 follow the taste. Memory: a few (n_users, n_items) matrices of float32.

    Raises:
        ImpossibleSize: There are not that many distinct pairs, or fewer interactions than users.
    """
    if not 0 < n_users <= n_interactions <= n_users * n_items:
        raise ImpossibleSize(n_users, n_items, n_interactions)
    generator = np.random.default_rng(seed)
    taste = _taste(generator, n_users, n_items)
    cells = generator.permutation(_drawn(generator, taste, n_interactions))  # times must not follow ids
    users, items = np.divmod(cells, n_items)
    return InteractionLog(
        users=_ids(n_users)[users],
        items=_ids(n_items)[items],
        ratings=_ratings(taste[users, items]),
        times=np.sort(generator.integers(START, START + SPAN_S, n_interactions)),
    )


def titles(n_items: int) -> dict[str, str]:
    """A title for each item id of `synthetic`, no two the same."""
    names = [f"The {colour} {thing}" for thing, colour in product(THINGS, COLOURS)]
    return {
        str(item + 1): names[item % len(names)] + (f" {item // len(names) + 1}" if item >= len(names) else "")
        for item in range(n_items)
    }


def _taste(generator: np.random.Generator, n_users: int, n_items: int) -> NDArray[np.float32]:
    """How much each user would like each item, about N(0, 1), (n_users, n_items)."""
    users = generator.standard_normal((n_users, N_TASTES), dtype=np.float32)
    items = generator.standard_normal((n_items, N_TASTES), dtype=np.float32)
    taste: NDArray[np.float32] = users @ items.T / np.float32(N_TASTES**0.5)
    return taste


def _drawn(generator: np.random.Generator, taste: NDArray[np.float32], n_interactions: int) -> NDArray[np.int64]:
    """Flat cells drawn without replacement: the best after Gumbel noise is added to the propensities."""
    n_users, n_items = taste.shape
    activity = generator.normal(size=(n_users, 1)).astype(np.float32)
    popularity = -np.log(np.arange(1, n_items + 1, dtype=np.float32))
    keys = taste + activity + generator.permutation(popularity)
    keys -= np.log(generator.standard_exponential(keys.shape, dtype=np.float32))
    keys[np.arange(n_users), keys.argmax(axis=1)] = np.inf
    return np.argpartition(-keys.ravel(), n_interactions - 1)[:n_interactions]


def _ratings(taste: NDArray[np.float32]) -> NDArray[np.float64]:
    """1 to 5 by thresholds on the taste, shape of `taste`."""
    edges = np.quantile(taste, [0.1, 0.25, 0.55, 0.8])
    return np.searchsorted(edges, taste).astype(np.float64) + 1


def _ids(n: int) -> NDArray[np.object_]:
    return np.array([str(row + 1) for row in range(n)], dtype=np.object_)
