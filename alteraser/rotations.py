"""The directions in which both factor matrices rotate together, which leave a factor model's objective as it is.

f(P R, Q R) = f(P, Q) for every rotation R, so the directions (P W, Q W), W antisymmetric, lie along f's level sets.
The gradient has no part in them, but away from a stationary point the Hessian has small, even negative curvature
along them, and conjugate gradients that wander off there spoil the step. Solving orthogonally to them is the Newton
method on the quotient of the parameters by rotation (Absil, Mahony, Sepulchre, "Optimization Algorithms on Matrix
Manifolds", 2008, section 9.12 treats the same idea for the Grassmann manifold).
"""

from __future__ import annotations

import torch
from torch import Tensor


class Rotations:
    """The orthogonal projection that takes rotations out of a pair of directions.

    Args:
        P: (n_users, d) float32.
        Q: (n_items, d) float32.
    """

    def __init__(self, P: Tensor, Q: Tensor) -> None:
        self._P, self._Q = P, Q
        gram = P.double().T @ P.double() + Q.double().T @ Q.double()
        roots, V = torch.linalg.eigh(gram)
        sums = roots[:, None] + roots[None, :]
        self._V = V.float()
        self._inverse_sums = torch.where(sums > 1e-12 * roots.max(), 1.0 / sums, 0.0).float()

    def remove(self, U: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
        """Return the directions (n_users, d) and (n_items, d) less their closest (P W, Q W), W antisymmetric.

        W solves the Sylvester equation ``G W + W G = N - N^T``, N = P^T U + Q^T V, in the eigenbasis of
        G = P^T P + Q^T Q.
        """
        N = self._P.T @ U + self._Q.T @ V
        W = self._V @ (self._V.T @ (N - N.T) @ self._V * self._inverse_sums) @ self._V.T
        return U - self._P @ W, V - self._Q @ W
