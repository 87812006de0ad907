"""Leading singular triplets of a matrix known by its products, by a block Krylov method.

After Musco and Musco, "Randomized block Krylov methods for stronger and faster approximate singular value
decomposition" (NeurIPS 2015): it multiplies by the matrix and its transpose `2 steps + 1` times, `width` columns each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

DEPENDENT = 1e-9
"""Squared lengths below this share of the longest are rounding, not directions."""

NOTHING = 1e-14
"""Squared lengths below this are rounding in float32, whatever they are compared with."""


class LinearMap(Protocol):
    """A matrix (n_users, n_items) known by its products."""

    def times(self, right: Tensor) -> Tensor:
        """Return the matrix times ``right`` (n_items, k)."""

    def transposed_times(self, left: Tensor) -> Tensor:
        """Return the matrix's transpose times ``left`` (n_users, k)."""


@dataclass(frozen=True, slots=True)
class Triplets:
    """Leading singular triplets of a matrix, about ``users diag(values) items^T``.

    Attributes:
        users: (n_users, r) orthonormal.
        values: (r,) falling.
        items: (n_items, r) orthonormal.
    """

    users: Tensor
    values: Tensor
    items: Tensor


def leading_triplets(matrix: LinearMap, n_items: int, like: Tensor, *, rank: int, width: int, steps: int) -> Triplets:
    """Return the leading singular triplets of a matrix, by block Krylov from a seeded random start.

    Args:
        matrix: Whose.
        n_items: Its columns.
        like: Any tensor of the type and device wanted.
        rank: How many, at most.
        width: Columns of a block.
        steps: Blocks after the first.
    """
    generator = torch.Generator().manual_seed(0)
    block = torch.randn(n_items, min(width, n_items), generator=generator).to(like)
    block, _ = _orthonormal(matrix.transposed_times(matrix.times(block)), 0.0)
    basis, images = block, matrix.times(block)  # (n_items, k), (n_users, k)
    latest, least = images, 0.0
    for _ in range(steps):
        if basis.shape[1] + block.shape[1] > n_items or not block.shape[1]:
            break
        block = matrix.transposed_times(latest)
        block = block - basis @ (basis.T @ block)
        block, longest = _orthonormal(block - basis @ (basis.T @ block), least)
        least = max(least, DEPENDENT * longest)
        block, _ = _orthonormal(block - basis @ (basis.T @ block), 0.0)
        latest = matrix.times(block)
        basis, images = torch.cat([basis, block], dim=1), torch.cat([images, latest], dim=1)
    squares, turn = torch.linalg.eigh(images.double().T @ images.double())
    squares, turn = squares.flip(0)[:rank], turn.flip(1)[:, :rank]
    keep = squares > DEPENDENT * squares.max() if len(squares) else squares.bool()
    values, turn = squares[keep].sqrt().to(like), turn[:, keep].to(like)
    return Triplets(images @ turn / values, values, basis @ turn)


def _orthonormal(block: Tensor, least: float) -> tuple[Tensor, float]:
    """Return an orthonormal basis of the block's columns and its largest squared length.

    Args:
        block: (n, k).
        least: Squared lengths below this are taken for rounding.
    """
    squares, turn = torch.linalg.eigh(block.double().T @ block.double())
    longest = float(squares[-1]) if len(squares) else 0.0
    keep = squares > max(least, DEPENDENT * longest, NOTHING)
    return block @ (turn[:, keep] / squares[keep].sqrt()).to(block), longest
