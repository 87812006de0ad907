"""Retraining as people do it: the ``implicit`` library's alternating least squares with its own defaults.

It minimises another objective (its confidences and its L2 are others), so only its lists, its accuracy and its seconds
compare with ours.
"""

from __future__ import annotations

import numpy as np
import torch
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from alteraser.interactions import Interactions
from alteraser.model import Parameters

ITERATIONS = 15
"""The library's default, as are alpha 1, regularization 0.01 and three conjugate-gradient steps a block."""


def fit(data: Interactions, d: int, seed: int) -> Parameters:
    """Return the factors of ``implicit``'s model of the data, on as many threads as torch has.

    Args:
        data: What to train on.
        d: Width of the factors.
        seed: Of the random start.
    """
    shape = (data.n_users, data.n_items)
    ones = np.ones(len(data), dtype=np.float32)
    matrix = csr_matrix((ones, data.by_user.indices, data.by_user.indptr.astype(np.int32)), shape=shape)
    model = AlternatingLeastSquares(
        factors=d, iterations=ITERATIONS, num_threads=torch.get_num_threads(), random_state=seed
    )
    with threadpool_limits(1, "blas"):  # its own threads call BLAS; the library asks for this
        model.fit(matrix, show_progress=False)
    users, items = (
        torch.from_numpy(np.asarray(factors)).double() for factors in (model.user_factors, model.item_factors)
    )
    return Parameters(users, items, torch.zeros(0, dtype=torch.float64))
