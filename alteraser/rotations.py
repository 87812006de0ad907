"""The directions in which both factor matrices rotate together, which leave a factor model's objective as it is.

f(P R, Q R) = f(P, Q) for every rotation R, so the directions (P W, Q W), W antisymmetric, lie along f's level sets.
The gradient has no part in them, but away from a stationary point the Hessian has small, even negative curvature along
them, and conjugate gradients that wander off there spoil the step. Solving orthogonally to them is Newton's method on
the quotient of the parameters by rotation.
"""

from __future__ import annotations

import torch
from torch import Tensor

NEGLIGIBLE = 1e-9
"""Two dimensions that hold no more than this share of the strongest are left alone: their rotation is rounding."""


class Rotations:
    """The orthogonal projection that takes joint rotations of two factor matrices out of a direction.

    Args:
        P: (n_users, d) float32.
        Q: (n_items, d) float32.
    """

    def __init__(self, P: Tensor, Q: Tensor) -> None:
        self._P, self._Q = P, Q
        roots, V = torch.linalg.eigh(P.double().T @ P.double() + Q.double().T @ Q.double())
        sums = roots[:, None] + roots[None, :]
        self._V = V.float()
        turns = sums > NEGLIGIBLE * roots.max().clamp_min(torch.finfo(torch.float32).tiny)
        self._inverse_sums = torch.where(turns, 1.0 / sums, 0.0).float()

    def remove(self, along_P: Tensor, along_Q: Tensor) -> tuple[Tensor, Tensor]:
        """Return the direction ((n_users, d), (n_items, d)) less the closest (P W, Q W), W antisymmetric.

        W solves the Sylvester equation ``G W + W G = N - N^T``, N = P^T along_P + Q^T along_Q, in the eigenbasis of
        G = P^T P + Q^T Q.
        """
        N = self._P.T @ along_P + self._Q.T @ along_Q
        W = self._V @ (self._V.T @ (N - N.T) @ self._V * self._inverse_sums) @ self._V.T
        return torch.addmm(along_P, self._P, W, alpha=-1.0), torch.addmm(along_Q, self._Q, W, alpha=-1.0)
