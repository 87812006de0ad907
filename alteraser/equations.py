"""Newton's equations for factor models with squared loss: exact Hessian products, and an inverse that is nearly right.

With f of `alteraser.wmf`, errors e = p.q - 1 on the interactions and a step (V, W) of users and items,

    (H v)_u = sum_D (p.w + v.q) q + e w  +  alpha0 [ (Q^T Q) v_u + (Q^T W + W^T Q) p_u ]  +  l2_u v_u

and likewise for items, so one product costs two samplings and four weighted sums over the interactions, and never
touches a pair that is not there. The preconditioner has three parts: every row's *typical* sub-problem inverse, the
*coupling* between the sides outside the model's range, and a projection that takes rotations out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from alteraser.coupling import RANK, STEPS, WIDTH, leading_triplets
from alteraser.model import Parameters
from alteraser.rotations import Rotations
from alteraser.subproblems import Subproblems, TypicalInverse

NEARLY_SINGULAR = 0.99
"""The coupling is scaled down to this share of what would make the preconditioner singular."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a factor model at an iterate.

    Attributes:
        subproblems: The side's sub-problems, given the other side.
        factors: (n, d) float64.
        gradient: (n, d) float64.
    """

    subproblems: Subproblems
    factors: Tensor
    gradient: Tensor


class FactorEquations:
    """Newton's equations at one iterate, in float32; see `NewtonSystem`.

    Args:
        users: The users' side.
        items: The items' side.
        item_order: (nnz,) ``values_by_item = values_by_user[item_order]``.
        near: Equations of a near iterate, whose preconditioner is used again.

    Attributes:
        right_hand_side: ((n_users + n_items) d,) minus the gradient, users first.
    """

    def __init__(self, users: Side, items: Side, item_order: Tensor, near: FactorEquations | None) -> None:
        self._by_user, self._by_item = users.subproblems.pattern, items.subproblems.pattern
        self._order = item_order
        self._alpha0 = users.subproblems.alpha0
        self._l2_u, self._l2_i = users.subproblems.l2.float()[:, None], items.subproblems.l2.float()[:, None]
        self._P, self._Q = users.factors.float(), items.factors.float()
        self._PtP, self._QtQ = self._P.T @ self._P, self._Q.T @ self._Q
        self._errors = self._by_user.sample(self._P, self._Q) - 1  # (nnz,)
        self._errors_by_item = self._errors[item_order]
        self._rotations = Rotations(self._P, self._Q)
        self._preconditioner: Preconditioner = near._preconditioner if near else self._precondition_by(users, items)
        self.right_hand_side = self._flat(-users.gradient.float(), -items.gradient.float())

    def multiply(self, v: Tensor) -> Tensor:
        """Return ``H v``; see `NewtonSystem`."""
        V, W = self._sides(v)
        along = self._by_user.sample(self._P, W) + self._by_user.sample(V, self._Q)  # (nnz,)
        along_by_item = along[self._order]
        QtW, PtV = self._Q.T @ W, self._P.T @ V
        users = self._by_user.weighted_sum(along, self._Q) + self._by_user.weighted_sum(self._errors, W)
        users += self._alpha0 * (V @ self._QtQ + self._P @ (QtW + QtW.T)) + self._l2_u * V
        items = self._by_item.weighted_sum(along_by_item, self._P)
        items += self._by_item.weighted_sum(self._errors_by_item, V)
        items += self._alpha0 * (W @ self._PtP + self._Q @ (PtV + PtV.T)) + self._l2_i * W
        return self._flat(users, items)

    def precondition(self, r: Tensor) -> Tensor:
        """Return nearly the inverse of H times ``r``, without rotations; see `NewtonSystem`."""
        found = self._preconditioner.times(*self._rotations.remove(*self._sides(r)))
        return self._flat(*self._rotations.remove(*found))

    def expand(self, v: Tensor) -> Parameters:
        """Return the step in float64; see `NewtonSystem`."""
        V, W = self._sides(v)
        return Parameters(V.double(), W.double(), torch.zeros(0, dtype=torch.float64, device=v.device))

    def _sides(self, v: Tensor) -> tuple[Tensor, Tensor]:
        split = self._P.numel()
        return v[:split].view_as(self._P), v[split:].view_as(self._Q)

    @staticmethod
    def _flat(users: Tensor, items: Tensor) -> Tensor:
        return torch.cat([users.reshape(-1), items.reshape(-1)])

    def _precondition_by(self, users: Side, items: Side) -> Preconditioner:
        scaled = _Scaled(self._P * self._l2_u.sqrt())
        scaled_items = _Scaled(self._Q * self._l2_i.sqrt())
        outside = _OutsideGradient(self, scaled.range, scaled_items.range)
        triplets = leading_triplets(outside, len(self._Q), self._Q, rank=RANK, width=WIDTH, steps=STEPS)
        weakest = scaled.latent[:, : (self._P.shape[1] + 1) // 2]  # (d, L)
        return Preconditioner(
            _Rows(users.subproblems, items.factors, self._Q, triplets.users, weakest),
            _Rows(items.subproblems, users.factors, self._P, triplets.items, weakest),
            triplets.values,
            weakest,
        )


class _Scaled:
    """The range and the latent dimensions of one side's scaled factors R^1/2 F.

    Args:
        factors: (n, d) float32, scaled.

    Attributes:
        range: (n, d) orthonormal basis of the columns.
        latent: (d, d) orthonormal, the dimensions by rising singular value.
    """

    def __init__(self, factors: Tensor) -> None:
        squares, latent = torch.linalg.eigh(factors.double().T @ factors.double())
        lengths = squares.clamp_min(0.0).sqrt()
        inverse = torch.where(lengths > 1e-6 * lengths.max(), 1.0 / lengths, 0.0)
        self.range = factors @ (latent * inverse).float()
        self.latent = latent.float()


class _OutsideGradient:
    """W = (I - U U^T) G~ (I - V V^T), G~ the scaled gradient with respect to the scores: sparse plus low rank."""

    def __init__(self, equations: FactorEquations, U: Tensor, V: Tensor) -> None:
        self._of = equations
        self._U, self._V = U, V
        self._root_u, self._root_i = equations._l2_u.sqrt(), equations._l2_i.sqrt()
        self._left, self._right = equations._P / self._root_u, equations._alpha0 * equations._Q / self._root_i

    def times(self, right: Tensor) -> Tensor:
        """Return ``W right``, (n_users, k)."""
        right = _without(right, self._V)
        sparse = self._of._by_user.weighted_sum(self._of._errors, right / self._root_i) / self._root_u
        return _without(sparse + self._left @ (self._right.T @ right), self._U)

    def transposed_times(self, left: Tensor) -> Tensor:
        """Return ``W^T left``, (n_items, k)."""
        left = _without(left, self._U)
        sparse = self._of._by_item.weighted_sum(self._of._errors_by_item, left / self._root_u) / self._root_i
        return _without(sparse + self._right @ (self._left.T @ left), self._V)


class _Rows:
    """One side of the preconditioner.

    Args:
        subproblems: The side's sub-problems.
        other: (n_columns, d) float64, the other side's factors.
        other_single: The same in float32.
        triplets: (n, r) the side's singular vectors.
        weakest: (d, L) the latent dimensions that are coupled.
    """

    def __init__(
        self, subproblems: Subproblems, other: Tensor, other_single: Tensor, triplets: Tensor, weakest: Tensor
    ) -> None:
        self.typical: TypicalInverse = subproblems.typical(other)
        squares = (other_single @ weakest).square()  # (n_columns, L)
        l2 = subproblems.l2.float()[:, None]
        curvature = subproblems.pattern.counted_sum(squares) + subproblems.alpha0 * squares.sum(dim=0) + l2  # (n, L)
        self.weights = l2.sqrt() / curvature  # R^-1/2 Lambda^-1, (n, L)
        self.triplets = triplets
        scaled = l2 / curvature  # Lambda^-1, (n, L)
        self.grams = torch.stack([triplets.T @ (triplets * column[:, None]) for column in scaled.T])  # (L, r, r)


class Preconditioner:
    """Nearly the inverse of the Hessian: typical sub-problems, coupled through a few directions.

    For each of the weakest latent dimensions [Lambda_u, A S B^T; B S A^T, Lambda_i] is inverted by Woodbury's identity,
    with the triplets (A, S, B) of the coupling; what that adds to the sub-problems' own inverses is added here.
    """

    def __init__(self, users: _Rows, items: _Rows, values: Tensor, weakest: Tensor) -> None:
        self._users, self._items, self._weakest = users, items, weakest
        self._corrections = _corrections(users.grams.double(), items.grams.double(), values.double())

    def times(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inverse times a vector's two sides, ((n_users, d), (n_items, d))."""
        u, i = self._users, self._items
        pulls = torch.cat(
            [u.triplets.T @ (users @ self._weakest * u.weights), i.triplets.T @ (items @ self._weakest * i.weights)]
        )  # (2 r, L)
        along = (self._corrections @ pulls.T[:, :, None])[:, :, 0].T
        r = u.triplets.shape[1]
        return (
            u.typical.times(users) + (u.triplets @ along[:r] * u.weights) @ self._weakest.T,
            i.typical.times(items) + (i.triplets @ along[r:] * i.weights) @ self._weakest.T,
        )


def _corrections(grams_u: Tensor, grams_i: Tensor, values: Tensor) -> Tensor:
    """Return ``-([T_u, S^-1; S^-1, T_i])^-1``, (L, 2 r, 2 r) float32, with S scaled so that all stays positive.

    Args:
        grams_u: (L, r, r) T_u = A^T Lambda_u^-1 A, float64.
        grams_i: (L, r, r) likewise.
        values: (r,) S.
    """
    if not len(values):
        return grams_u.float()
    roots, V = torch.linalg.eigh(grams_u)
    half = (V * roots.clamp_min(0.0).sqrt()[:, None, :]) @ V.mT
    strongest = torch.linalg.eigvalsh(half @ (values[:, None] * grams_i * values) @ half).amax(dim=1)  # (L,)
    scale = (NEARLY_SINGULAR / strongest.clamp_min(NEARLY_SINGULAR)).sqrt()
    inverse_values = torch.diag_embed(1.0 / (scale[:, None] * values))
    system = torch.cat(
        [torch.cat([grams_u, inverse_values], dim=2), torch.cat([inverse_values, grams_i], dim=2)], dim=1
    )
    found: Tensor = -torch.linalg.inv(system).float()
    return found


def _without(vectors: Tensor, basis: Tensor) -> Tensor:
    """Return the vectors less their parts in the span of an orthonormal basis."""
    return torch.addmm(vectors, basis, basis.T @ vectors, alpha=-1.0)
