"""How far the scores of two models of one kind are apart, where no formula tells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from alteraser.model import Parameters

MOST_PAIRS = 1 << 18
"""Scores that are computed, of both models: a tenth of a second; MovieLens-100K has five times as many."""

Scores = Callable[[Parameters, NDArray[np.int64]], NDArray[np.float64]]


def score_distance(scores: Scores, before: Parameters, after: Parameters) -> float:
    """Return ``|X_before - X_after|_F``, beyond `MOST_PAIRS` from evenly spread users.

    The estimate's square is the mean over those users times the number of all.
    """
    n_users, n_items = len(before.users), len(before.items)
    n_asked = min(n_users, max(MOST_PAIRS // max(n_items, 1), 1))
    total = np.float64(0.0)
    for row in np.linspace(0, n_users - 1, n_asked).astype(np.int64):
        total += np.square(scores(before, row[None]) - scores(after, row[None])).sum()
    return float(np.sqrt(total * n_users / max(n_asked, 1)))
