"""The many small sub-problems of squared loss: given all other rows, each row's minimiser solves a d x d system.

For row r with entries D_r over the columns' factors c:

    (alpha0 C^T C + sum_{D_r} c c^T + l2_r I) x_r = sum_{D_r} c
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alteraser.pattern import Bucket, Pattern, gram_matrices, with_zero_row


class Subproblems:
    """The sub-problems of one side, a row of the pattern each.

    Args:
        pattern: Which columns each row meets.
        alpha0: Weight of a pair that is not an interaction.
        l2_always: L2 weight of a row without entries, above 0.
        l2_per_entry: What each entry adds to it.

    Attributes:
        l2: (n_rows,) float64, the rows' L2 weights.
    """

    def __init__(self, pattern: Pattern, alpha0: float, l2_always: float, l2_per_entry: float) -> None:
        self.pattern = pattern
        self.alpha0 = alpha0
        self.l2_per_entry = l2_per_entry
        self._counts = torch.from_numpy(pattern.csr.counts).double().to(pattern.device)
        self._l2_always = l2_always
        self.l2 = l2_always + l2_per_entry * self._counts

    def solve(self, other: Tensor) -> Tensor:
        """Return every row's minimiser, (n_rows, d) float64.

        Args:
            other: (n_columns, d) the columns' factors.
        """
        factors = with_zero_row(other.float())
        solved = other.new_empty(self.pattern.n_rows, other.shape[1], dtype=torch.float64)
        for bucket, matrices in self._matrices(factors):
            sums = factors[bucket.columns].sum(dim=1)  # (B, d)
            lower = torch.linalg.cholesky(matrices)
            solved[bucket.rows] = torch.cholesky_solve(sums[:, :, None], lower)[:, :, 0].double()
        return solved

    def _matrices(self, factors: Tensor) -> Iterator[tuple[Bucket, Tensor]]:
        """Yield the rows' matrices (B, d, d), bucket by bucket."""
        shared = self.alpha0 * factors.T @ factors
        for bucket in self.pattern.buckets(factors.shape[1]):
            matrices = gram_matrices(bucket, factors) + shared  # (B, d, d)
            matrices.diagonal(dim1=1, dim2=2).add_(self.l2[bucket.rows, None])
            yield bucket, matrices

    def typical(self, other: Tensor) -> TypicalInverse:
        """Return the inverse of the sub-problems' matrices with every row's entries taken to be typical ones.

        Args:
            other: (n_columns, d) float64, the columns' factors.
        """
        met = torch.from_numpy(np.bincount(self.pattern.csr.indices, minlength=len(other))).to(other)
        eye = torch.eye(other.shape[1], dtype=other.dtype, device=other.device)
        always = self.alpha0 * other.T @ other + self._l2_always * eye
        per_entry = (other * met[:, None]).T @ other / max(len(self.pattern), 1) + self.l2_per_entry * eye
        return TypicalInverse.of(always, per_entry, self._counts)


@dataclass(frozen=True, slots=True)
class TypicalInverse:
    """``(M0 + n_r M1)^-1`` for every row r, all in the one basis that diagonalises M0 and M1 together.

    A row's matrix is M0 (what all rows share) plus one term an entry; M1 is that term's mean over all entries. Against
    the rows' own matrices this costs nothing to set up, keeps no (n, d, d), and conjugate gradients need as many
    iterations (`docs/decisions`).

    Attributes:
        basis: (d, d) float32.
        weights: (n_rows, d) float32.
    """

    basis: Tensor
    weights: Tensor

    @classmethod
    def of(cls, M0: Tensor, M1: Tensor, counts: Tensor) -> TypicalInverse:
        """Diagonalise the pencil (M0, M1), both (d, d) symmetric, M1 positive definite."""
        inverse = torch.linalg.inv(torch.linalg.cholesky(M1))
        roots, V = torch.linalg.eigh(inverse @ M0 @ inverse.T)
        return cls((inverse.T @ V).float(), (1.0 / (roots + counts[:, None])).float())

    def times(self, vectors: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return each row's inverse times its vector.

        Args:
            vectors: (n_rows, d), or one for each of ``rows``.
            rows: Which rows; all when None.
        """
        weights = self.weights if rows is None else self.weights[rows]
        return (vectors @ self.basis * weights) @ self.basis.T
