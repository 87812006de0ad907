"""Whom attacks are tried on: ordinary users, those who stand out, and canaries planted before training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from alteraser.interactions import Interactions, Vocabulary

Rows = NDArray[np.int64]

CANARY_ITEMS = 60
"""Interactions of a canary."""

RARE_LEAST, RARE_SHARE = 3, 0.5
"""A canary's items are drawn from the less popular half of those that at least three others have met: an item that is
the canary's own leaves with it, row and all, and what has left needs no attack."""

OUTLIER_LEAST = 20
"""An outlier has at least as many interactions: of fewer there is little to be seen."""

AROUND_MEDIAN, TOP = 0.05, 0.02
"""Which shares of the users count as median and as heavy."""

CANARY = "canary"


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody whose membership is attacked.

    Attributes:
        user: The id.
        group: One of `GROUPS`.
    """

    user: str
    group: str


def planted(data: Interactions, n: int, draw: int) -> tuple[Interactions, list[Target]]:
    """Return the data with that many canaries in it: users who met `CANARY_ITEMS` unlikely items drawn at random.

    Args:
        data: The data.
        n: How many canaries.
        draw: Seed of the draw.

    Returns:
        The data with the canaries' rows after all others, and the canaries.
    """
    generator = np.random.default_rng(draw)
    rare = _rare_items(data)
    size = min(CANARY_ITEMS, len(rare))
    items = [generator.choice(rare, size, replace=False) for _ in range(n)]
    names = tuple(f"{CANARY}-{k}" for k in range(n))
    users = np.repeat(np.arange(data.n_users), data.by_user.counts)
    of_canaries = data.n_users + np.repeat(np.arange(n), size)
    with_canaries = Interactions.from_rows(
        Vocabulary((*data.users.ids, *names)),
        data.items,
        np.concatenate([users, of_canaries]),
        np.concatenate([data.by_user.indices.astype(np.int64), *items]),
    )
    return with_canaries, [Target(name, CANARY) for name in names]


def chosen(data: Interactions, group: str, n: int, draw: int) -> list[Target]:
    """Return users of a group, drawn at random from those who belong to it.

    Args:
        data: The data, without canaries.
        group: A key of `USERS_OF`.
        n: How many; fewer where the group is smaller.
        draw: Seed of the draw.
    """
    rows = USERS_OF[group](data, n)
    drawn = np.random.default_rng(draw).permutation(rows)[:n]
    return [Target(data.users.ids[row], group) for row in drawn]


def median_users(data: Interactions, n: int) -> Rows:
    """Return the users around the median of activity, at least ``n`` of them where there are as many."""
    by_activity = np.argsort(data.by_user.counts, kind="stable")
    wide = max(round(AROUND_MEDIAN * len(by_activity)), n)
    start = max((len(by_activity) - wide) // 2, 0)
    return by_activity[start : start + wide]


def heavy_users(data: Interactions, n: int) -> Rows:
    """Return the most active users."""
    by_activity = np.argsort(data.by_user.counts, kind="stable")
    return by_activity[-max(round(TOP * len(by_activity)), n) :]


def outliers(data: Interactions, n: int) -> Rows:
    """Return the users whose items are the least popular, by the mean logarithm of how many met them."""
    logs = np.log(np.maximum(data.by_item.counts, 1))[data.by_user.indices]
    counts = data.by_user.counts
    sums = np.bincount(np.repeat(np.arange(data.n_users), counts), weights=logs, minlength=data.n_users)
    means = np.where(counts >= OUTLIER_LEAST, sums / np.maximum(counts, 1), np.inf)
    return np.argsort(means, kind="stable")[: min(n, int(np.isfinite(means).sum()))]


USERS_OF: Mapping[str, Callable[[Interactions, int], Rows]] = MappingProxyType(
    {"median": median_users, "heavy": heavy_users, "outlier": outliers}
)

GROUPS = (*USERS_OF, CANARY)


def _rare_items(data: Interactions) -> Rows:
    counts = data.by_item.counts
    known = np.flatnonzero(counts >= RARE_LEAST)
    by_popularity = known[np.argsort(counts[known], kind="stable")]
    return by_popularity[: max(round(RARE_SHARE * len(by_popularity)), 1)]
