"""Newton's equations for factor models with squared loss, one side's factors eliminated exactly.

With rows e of the eliminated side (factors E, sub-problem matrices A_e) and rows k of the kept side (K, A_k), the
Hessian of f (see `alteraser.wmf`) is block diagonal within a side, so the step of one side follows from the other's:

    S v = -(g_k - H_ke A_e^-1 g_e),    S v = A_k v - H_ke A_e^-1 H_ek v,    step_e = -A_e^-1 (g_e + H_ek v)

H_ek is exact: the block of a pair (e, k) is ``(x - 1) I + k e^T`` on an interaction plus ``alpha0 (x I + k e^T)``
everywhere, x = e.k. One product costs two samplings and four weighted sums over the interactions. The preconditioner is
the kept side's typical sub-problem matrix, with rotations taken out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from alteraser.rotations import Rotations
from alteraser.subproblems import Subproblems


@dataclass(frozen=True, slots=True)
class SideState:
    """One side of a factor model at an iterate.

    Attributes:
        subproblems: The side's sub-problems, given the other side.
        factors: (n, d) float64.
        gradient: (n, d) float64.
    """

    subproblems: Subproblems
    factors: Tensor
    gradient: Tensor


class SchurComplement:
    """The reduced Newton equations at one iterate, in float32; `NewtonSystem` but for the order of the sides.

    Args:
        eliminated: The side whose rows are eliminated; keeps 4 d^2 bytes for each of them.
        kept: The other side.
        kept_order: (nnz,) ``values_by_kept = values_by_eliminated[kept_order]``.
        near: Equations of a near iterate, whose inverses are used again.

    Attributes:
        right_hand_side: (n_k d,) minus the reduced gradient.
        eliminated_decrease: ``1/2 g_e^T A_e^-1 g_e``.
    """

    def __init__(
        self, eliminated: SideState, kept: SideState, kept_order: Tensor, near: SchurComplement | None
    ) -> None:
        self._by_e, self._by_k = eliminated.subproblems.pattern, kept.subproblems.pattern
        self._order = kept_order
        self._alpha0 = kept.subproblems.alpha0
        self._l2_k = kept.subproblems.l2.float()[:, None]
        self._E, self._K = eliminated.factors.float(), kept.factors.float()
        self._EtE = self._E.T @ self._E
        self._errors_e = self._by_e.sample(self._E, self._K) - 1  # (nnz,)
        self._errors_k = self._errors_e[kept_order]
        self._inverses: Tensor = near._inverses if near else eliminated.subproblems.inverses(self._K)
        self._typical = kept.subproblems.typical(eliminated.factors)
        self._rotations = Rotations(self._K)
        self._gradient_e = eliminated.gradient.float()
        at_rest = self._solve_eliminated(self._gradient_e)  # (n_e, d)
        self.eliminated_decrease = 0.5 * float((at_rest.double() * eliminated.gradient).sum())
        self.right_hand_side = (self._to_kept(at_rest) - kept.gradient.float()).reshape(-1)

    def multiply(self, v: Tensor) -> Tensor:
        """Return ``S v``; see `NewtonSystem`."""
        V = v.view_as(self._K)
        along_v = self._by_e.sample(self._E, V)  # (nnz,)
        W = self._solve_eliminated(self._to_eliminated(V, along_v))
        along = (along_v - self._by_e.sample(W, self._K))[self._order]
        sparse = self._by_k.weighted_sum(along, self._E) - self._by_k.weighted_sum(self._errors_k, W)
        EtW = self._E.T @ W
        dense = V @ self._EtE - self._K @ (EtW + EtW.T)
        return (sparse + self._alpha0 * dense + self._l2_k * V).reshape(-1)

    def precondition(self, r: Tensor) -> Tensor:
        """Return the typical inverses times ``r``, without rotations; see `NewtonSystem`."""
        V = self._typical.times(self._rotations.remove(r.view_as(self._K)))
        return self._rotations.remove(V).reshape(-1)

    def steps(self, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the steps of the eliminated (n_e, d) and the kept side (n_k, d), float64."""
        V = v.view_as(self._K)
        pull = self._gradient_e + self._to_eliminated(V, self._by_e.sample(self._E, V))
        return -self._solve_eliminated(pull).double(), V.double()

    def _solve_eliminated(self, vectors: Tensor) -> Tensor:
        return torch.einsum("nij,nj->ni", self._inverses, vectors)

    def _to_eliminated(self, V: Tensor, along: Tensor) -> Tensor:
        """Return ``H_ek V`` (n_e, d), given ``along`` (nnz,), the e.V_k of every interaction."""
        sparse = self._by_e.weighted_sum(self._errors_e, V) + self._by_e.weighted_sum(along, self._K)
        KtV = self._K.T @ V
        return sparse + self._alpha0 * self._E @ (KtV + KtV.T)

    def _to_kept(self, W: Tensor) -> Tensor:
        """Return ``H_ke W`` (n_k, d)."""
        along = self._by_e.sample(W, self._K)[self._order]
        sparse = self._by_k.weighted_sum(self._errors_k, W) + self._by_k.weighted_sum(along, self._E)
        EtW = self._E.T @ W
        return sparse + self._alpha0 * self._K @ (EtW + EtW.T)
