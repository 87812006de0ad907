"""A third model kind, as a company would write it: two towers that meet in a hidden layer, no inner product."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.gathered import GatheredKind


class TwoTowers:
    """``score = v . tanh(A row_u + B row_i + c)`` with the hidden layer twice as wide as the rows."""

    name = "two-towers"

    def widths(self, d: int) -> tuple[int, int]:
        return d, d

    def start(self, d: int, random: np.random.RandomState) -> NDArray[np.float64]:
        h = 2 * d
        return np.concatenate([random.randn(2 * h * d) / d**0.5, np.zeros(h), 2 * random.randn(h) / h**0.5])

    def score(self, users: Tensor, items: Tensor, shared: Tensor) -> Tensor:
        d = users.shape[1]
        A, B = shared[: 4 * d * d].view(2, 2 * d, d)
        c, v = shared[4 * d * d :].view(2, 2 * d)
        scores: Tensor = torch.tanh(users @ A.T + items @ B.T + c) @ v
        return scores


TWO_TOWERS = GatheredKind(TwoTowers())
