"""Users by how active they are: CURE4Rec's deletion sets (core and edge) and its groups for fairness.

Chen et al., "CURE4Rec: A Benchmark for Recommendation Unlearning with Deeper Influence" (NeurIPS 2024, Datasets and
Benchmarks; arXiv 2408.14393) deletes whole users: *core* are the P % with the most training interactions, *edge* the
P % with the fewest, rounded down. Its code (github.com/xiye7lai/CURE4Rec, `read.py`) breaks ties by the order of
pandas' ``value_counts``, so that sets of one definition may differ among users of equal activity; its published files,
where a data folder has them, say which users were meant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alteraser.interactions import Interactions
from alteraser.loaders import load

Edge: TypeAlias = Literal["core", "edge"]

PUBLISHED = "unlearn_set"
ACTIVE_PC = 5
"""Percentage of the kept users, the most active ones, that CURE4Rec compares with the rest."""


def extreme_users(data: Interactions, which: Edge, percentage: float) -> frozenset[str]:
    """Return the most (core) or least (edge) active users by definition; ties by their order in the data.

    Args:
        data: What activity is counted in.
        which: Which end.
        percentage: Of all users, rounded down.
    """
    return frozenset(data.users.ids[row] for row in _extreme_rows(data, which, percentage))


def published_users(folder: Path, which: Edge, percentage: int) -> frozenset[str] | None:
    """Return the users of the published set that lies in a data folder; None where there is none.

    The files hold the users' test interactions too; only the users count.

    Raises:
        DataError: The file cannot be read.
    """
    path = folder / PUBLISHED / f"{which}_data_{percentage}%.csv"
    return frozenset(load(path).users.tolist()) if path.exists() else None


def is_extreme(data: Interactions, users: frozenset[str], which: Edge) -> bool:
    """Whether no user outside is further towards that end than one inside: what the definition says but for ties."""
    counts = data.by_user.counts
    inside = np.isin(np.arange(data.n_users), data.users.rows(users))
    if inside.all() or not inside.any():
        return True
    if which == "core":
        return bool(counts[inside].min() >= counts[~inside].max())
    return bool(counts[inside].max() <= counts[~inside].min())


def by_activity(data: Interactions, percentage: float = ACTIVE_PC) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of the most active users, and those of the rest."""
    active = _extreme_rows(data, "core", percentage)
    return active, np.setdiff1d(np.arange(data.n_users), active)


def of_users(test: Interactions, rows: NDArray[np.int64]) -> Interactions:
    """Return the interactions of these users alone, over the same vocabularies."""
    users = np.repeat(np.arange(test.n_users), test.by_user.counts)
    theirs = np.isin(users, rows)
    return Interactions.from_rows(test.users, test.items, users[theirs], test.by_user.indices[theirs].astype(np.int64))


def _extreme_rows(data: Interactions, which: Edge, percentage: float) -> NDArray[np.int64]:
    counts = data.by_user.counts
    order = np.argsort(-counts if which == "core" else counts, kind="stable")
    return order[: int(data.n_users * percentage / 100)]
