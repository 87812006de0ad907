"""The gradient with respect to the scores, scaled, and outside the range of the factors.

With G the gradient of the data terms with respect to the score matrix X = P Q^T and M~ = R_u^-1/2 M R_i^-1/2,

    W = (I - U U^T) G~ (I - V V^T)

where U and V span the scaled factors R_u^1/2 P and R_i^1/2 Q. On the range itself G~ is -U V^T at a stationary point.
W is what the factors do not yet answer: its singular values are at most 1 at the global minimum
(`alteraser.certificate`), a larger one is a direction that more latent dimensions would use, one near 1 a direction in
which solving is slow.
"""

from __future__ import annotations

import torch
from torch import Tensor

from alteraser.pattern import Pattern

NEGLIGIBLE = 1e-5
"""A dimension of this share of the longest one's length has no direction that float32 could tell."""


class OutsideGradient:
    """W at an iterate, known by its products: sparse plus low rank, float32.

    Args:
        by_user: The interactions.
        by_item: The same, transposed.
        errors: (nnz,) x - 1 on the interactions, by user.
        errors_by_item: (nnz,) the same by item.
        P: (n_users, d) float32.
        Q: (n_items, d) float32.
        roots: Square roots of the L2 weights, ((n_users, 1), (n_items, 1)).
        alpha0: Weight of a pair that is not an interaction.

    Attributes:
        latent: (d, d) orthonormal, the latent dimensions by rising singular value.
        U: (n_users, d) orthonormal, the users' range in that order.
        V: (n_items, d) of unit columns, the items' range in that order; orthonormal where the factors are balanced.
            Columns of dimensions that hold next to nothing are zero, in U likewise.
    """

    def __init__(
        self,
        by_user: Pattern,
        by_item: Pattern,
        errors: Tensor,
        errors_by_item: Tensor,
        P: Tensor,
        Q: Tensor,
        roots: tuple[Tensor, Tensor],
        alpha0: float,
    ) -> None:
        self._by_user, self._by_item = by_user, by_item
        self._errors, self._errors_by_item = errors, errors_by_item
        self._root_u, self._root_i = roots
        self._left, self._right = P / self._root_u, alpha0 * Q / self._root_i
        scaled_u, scaled_i = P * self._root_u, Q * self._root_i
        self.latent, self.U = _range(scaled_u)
        _, self._V = _range(scaled_i)
        along = scaled_i @ self.latent
        lengths = along.double().norm(dim=0)
        held = lengths > NEGLIGIBLE * lengths.max()
        self.V = along * torch.where(held, 1.0 / lengths, 0.0).float()

    def times(self, right: Tensor) -> Tensor:
        """Return ``W right``, (n_users, k), for (n_items, k)."""
        right = _without(right, self._V)
        sparse = self._by_user.weighted_sum(self._errors, right / self._root_i) / self._root_u
        return _without(sparse + self._left @ (self._right.T @ right), self.U)

    def transposed_times(self, left: Tensor) -> Tensor:
        """Return ``W^T left``, (n_items, k), for (n_users, k)."""
        left = _without(left, self.U)
        sparse = self._by_item.weighted_sum(self._errors_by_item, left / self._root_u) / self._root_i
        return _without(sparse + self._right @ (self._left.T @ left), self._V)


def _range(scaled: Tensor) -> tuple[Tensor, Tensor]:
    """Return the latent dimensions by rising singular value, (d, d), and an orthonormal basis in that order."""
    squares, latent = torch.linalg.eigh(scaled.double().T @ scaled.double())
    lengths = squares.clamp_min(0.0).sqrt()
    inverse = torch.where(lengths > NEGLIGIBLE * lengths.max(), 1.0 / lengths, 0.0)
    return latent.float(), scaled @ (latent * inverse).float()


def _without(vectors: Tensor, basis: Tensor) -> Tensor:
    """Return the vectors less their parts in the span of an orthonormal basis."""
    return torch.addmm(vectors, basis, basis.T @ vectors, alpha=-1.0)
