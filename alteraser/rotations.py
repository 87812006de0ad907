"""The directions in which both factor matrices rotate together, which leave a factor model's objective as it is.

f(P R, Q R) = f(P, Q) for every rotation R, so the directions (P W, Q W), W antisymmetric, lie along f's level sets.
The gradient has no part in them, but away from a stationary point the Hessian has small, even negative curvature along
them, and conjugate gradients that wander off there spoil the step. Solving orthogonally to them is Newton's method on
the quotient of the parameters by rotation. Once one factor matrix is eliminated, the directions are those of the other.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Rotations:
    """The orthogonal projection that takes rotations of a factor matrix out of a direction.

    Args:
        K: (n, d) float32.
    """

    def __init__(self, K: Tensor) -> None:
        self._K = K
        roots, V = torch.linalg.eigh(K.double().T @ K.double())
        sums = roots[:, None] + roots[None, :]
        self._V = V.float()
        self._inverse_sums = torch.where(sums > 1e-12 * roots.max(), 1.0 / sums, 0.0).float()

    def remove(self, V: Tensor) -> Tensor:
        """Return the direction (n, d) less the closest K W, W antisymmetric.

        W solves the Sylvester equation ``G W + W G = N - N^T``, N = K^T V, in the eigenbasis of G = K^T K.
        """
        N = self._K.T @ V
        W = self._V @ (self._V.T @ (N - N.T) @ self._V * self._inverse_sums) @ self._V.T
        return torch.addmm(V, self._K, W, alpha=-1.0)
