"""The list for everybody the model does not know."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alteraser.interactions import Interactions


def popular(interactions: Interactions) -> NDArray[np.int64]:
    """All item rows, most interactions first, ties by row; shape (n_items,)."""
    return np.argsort(-interactions.by_item.counts, kind="stable")
