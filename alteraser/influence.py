"""Residual influence: how much of what the deleted data did to the scores is still there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alteraser.model import ModelKind, Parameters

ROWS_AT_ONCE = 1024


def residual_influence(
    model_kind: ModelKind,
    before: Parameters,
    after: Parameters,
    oracle: Parameters,
    items: NDArray[np.int64] | None = None,
) -> float:
    """Return ``sum (after - oracle)^2 / sum (before - oracle)^2`` over scores, in float64.

    Doing nothing is 1, an exact retraining 0. All three must have the same rows.

    Args:
        model_kind: Gives the scores.
        before: The live model, kept rows only.
        after: The model judged.
        oracle: A model trained on the kept data to stationarity.
        items: Item rows to sum over (the touched ones: RI affected); every item when None (RI all).
    """
    columns = slice(None) if items is None else items
    left = moved = 0.0
    for start in range(0, len(oracle.users), ROWS_AT_ONCE):
        rows = np.arange(start, min(start + ROWS_AT_ONCE, len(oracle.users)))
        truth = model_kind.scores(oracle, rows)[:, columns]
        left += float(np.square(model_kind.scores(after, rows)[:, columns] - truth).sum())
        moved += float(np.square(model_kind.scores(before, rows)[:, columns] - truth).sum())
    return left / moved
