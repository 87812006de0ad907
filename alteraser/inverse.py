"""The inverses of many small symmetric positive definite matrices, by halving.

    [ a   b ]^-1     [ a^-1 + y x^T   -y     ]        x = a^-1 b,   s = c - b^T x,   y = x s^-1
    [ b^T c ]     =  [ -y^T            s^-1  ]

Almost all work is in batched matrix products, for which there are fast kernels on every device; LAPACK's one matrix at
a time takes twice as long (3,706 matrices of 64 x 64 in float32 on two cores: .14 s against .33 s).
"""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 16
"""Matrices of this size and below are left to LAPACK."""

ROWS_AT_ONCE = 4096
"""So that the products' temporaries stay small beside the result."""


def inverses(matrices: Tensor) -> Tensor:
    """Return the inverse of each symmetric positive definite matrix, (n, d, d)."""
    if len(matrices) > ROWS_AT_ONCE:
        return torch.cat([_inverses(chunk) for chunk in torch.split(matrices, ROWS_AT_ONCE)])
    return _inverses(matrices)


def _inverses(matrices: Tensor) -> Tensor:
    d = matrices.shape[-1]
    if d <= BASE:
        return torch.cholesky_inverse(torch.linalg.cholesky(matrices))
    half = d // 2
    a, b, c = matrices[:, :half, :half], matrices[:, :half, half:], matrices[:, half:, half:]
    a_inverse = _inverses(a)
    x = a_inverse @ b
    s_inverse = _inverses(c - b.mT @ x)
    y = x @ s_inverse
    found = torch.empty_like(matrices)
    found[:, :half, :half] = torch.baddbmm(a_inverse, y, x.mT)
    found[:, :half, half:] = -y
    found[:, half:, :half] = -y.mT
    found[:, half:, half:] = s_inverse
    return found
