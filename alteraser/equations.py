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
from alteraser.outside import OutsideGradient
from alteraser.rotations import Rotations
from alteraser.subproblems import Subproblems, TypicalInverse

NEARLY_SINGULAR = 0.99
"""The coupling is scaled down until it stays below this share of what would make the preconditioner singular,"""

STEP_DOWN = 0.97
"""by this factor at a time."""

DEPENDENT = 1e-6
"""Added to Gram matrices of nearly orthonormal vectors, should they not be."""

GROUPS = 12
"""Groups of latent dimensions that share one coupling; within a group the data's curvature is averaged."""


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
        outside_norm: Of the gradient outside the model's range, where the preconditioner was made; from below.
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
        self.outside_norm = self._preconditioner.outside_norm
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

    def outside(self) -> OutsideGradient:
        """Return the gradient with respect to the scores outside the range of the factors."""
        return OutsideGradient(
            self._by_user,
            self._by_item,
            self._errors,
            self._errors_by_item,
            self._P,
            self._Q,
            (self._l2_u.sqrt(), self._l2_i.sqrt()),
            self._alpha0,
        )

    def _precondition_by(self, users: Side, items: Side) -> Preconditioner:
        outside = self.outside()
        n_weak = (self._P.shape[1] + 1) // 2
        n_weak -= n_weak % GROUPS if n_weak > GROUPS else 0  # groups of one size
        weakest = outside.latent[:, :n_weak]  # (d, L)
        W = leading_triplets(outside, len(self._Q), self._Q, rank=RANK, width=WIDTH, steps=STEPS)
        # on the weakest part of the range G~ is -U V^T, singular values 1, and the data adds as little there
        values = torch.cat([W.values, W.values.new_ones(n_weak)])
        return Preconditioner(
            _Rows(users.subproblems, items.factors, self._Q, _beside(W.users, outside.U[:, :n_weak]), weakest),
            _Rows(items.subproblems, users.factors, self._P, _beside(W.items, -outside.V[:, :n_weak]), weakest),
            values,
            weakest,
            outside_norm=float(W.values[0]) if len(W.values) else 0.0,
        )


def _beside(left: Tensor, right: Tensor) -> Tensor:
    return torch.cat([left, right], dim=1)


class _Rows:
    """One side of the preconditioner.

    Args:
        subproblems: The side's sub-problems.
        other: (n_columns, d) float64, the other side's factors.
        other_single: The same in float32.
        triplets: (n, r) the side's singular vectors.
        weakest: (d, L) the latent dimensions that are coupled, in `GROUPS` groups of alike ones.

    Attributes:
        typical: The inverses of the side's typical sub-problems.
        triplets: As given.
        weights: (n, G) R^-1/2 Lambda^-1 for each group of latent dimensions.
        grams: (G, r, r) float64, A^T Lambda^-1 A.
    """

    def __init__(
        self, subproblems: Subproblems, other: Tensor, other_single: Tensor, triplets: Tensor, weakest: Tensor
    ) -> None:
        self.typical: TypicalInverse = subproblems.typical(other)
        self.triplets = triplets
        size = _group_size(weakest)
        squares = (other_single @ weakest).square().reshape(len(other), weakest.shape[1] // size, size).mean(dim=2)
        l2 = subproblems.l2.float()[:, None]
        curvature = subproblems.pattern.counted_sum(squares) + subproblems.alpha0 * squares.sum(dim=0) + l2  # (n, G)
        self.weights = l2.sqrt() / curvature
        scaled = l2 / curvature
        self.grams = torch.stack([triplets.T @ (triplets * column[:, None]) for column in scaled.T]).double()

    def pull(self, vectors: Tensor, weakest: Tensor) -> Tensor:
        """Return what the vectors (n, d) come to along the triplets, (r, L)."""
        found: Tensor = self.triplets.T @ ((vectors @ weakest) * self._by_dimension(weakest))
        return found

    def push(self, along: Tensor, weakest: Tensor) -> Tensor:
        """Return the vectors (n, d) that ``along`` (r, L) comes to."""
        found: Tensor = ((self.triplets @ along) * self._by_dimension(weakest)) @ weakest.T
        return found

    def _by_dimension(self, weakest: Tensor) -> Tensor:
        return self.weights.repeat_interleave(_group_size(weakest), dim=1)


class Preconditioner:
    """Nearly the inverse of the Hessian: typical sub-problems, coupled through a few directions.

    For each group of the weakest latent dimensions [Lambda_u, A S B^T; B S A^T, Lambda_i] is inverted by Woodbury's
    identity, with the triplets (A, S, B) of the coupling; what that adds to the sub-problems' inverses is added here.
    """

    def __init__(self, users: _Rows, items: _Rows, values: Tensor, weakest: Tensor, outside_norm: float) -> None:
        self._users, self._items, self._weakest = users, items, weakest
        self.outside_norm = outside_norm
        self._corrections = _corrections(users.grams, items.grams, values.double())  # (G, 2 r, 2 r)

    def times(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inverse times a vector's two sides, ((n_users, d), (n_items, d))."""
        u, i, weakest = self._users, self._items, self._weakest
        pulls = torch.cat([u.pull(users, weakest), i.pull(items, weakest)])  # (2 r, L)
        grouped = pulls.T.reshape(len(self._corrections), -1, len(pulls))  # (G, L / G, 2 r)
        along = (grouped @ self._corrections).flatten(0, 1).T  # the corrections are symmetric
        r = u.triplets.shape[1]
        return (
            u.typical.times(users) + u.push(along[:r], weakest),
            i.typical.times(items) + i.push(along[r:], weakest),
        )


def _group_size(weakest: Tensor) -> int:
    return max(weakest.shape[1] // GROUPS, 1)


def _corrections(T: Tensor, C: Tensor, values: Tensor) -> Tensor:
    """Return ``-([T, S^-1; S^-1, C])^-1``, (G, 2 r, 2 r) float32, with S scaled so that all stays positive.

    By Cholesky factorisations of r x r matrices: batched LU of torch 2.13 fails on two threads.

    Args:
        T: (G, r, r) A^T Lambda_u^-1 A, float64.
        C: (G, r, r) B^T Lambda_i^-1 B, float64.
        values: (r,) S.
    """
    eye = torch.eye(len(values), dtype=T.dtype, device=T.device)
    C = C + DEPENDENT * eye
    half = values[:, None] * torch.linalg.cholesky(C)  # S C S = half half^T
    pull = half.mT @ T @ half  # below 1 where the system is positive
    scale = T.new_ones(len(T), 1, 1)  # of S^2
    while len(values) and (bad := torch.linalg.cholesky_ex(NEARLY_SINGULAR * eye - scale * pull).info > 0).any():
        scale[bad] *= STEP_DOWN
    users = scale * half @ torch.cholesky_inverse(torch.linalg.cholesky(eye - scale * pull)) @ half.mT
    inverse_C = torch.cholesky_inverse(torch.linalg.cholesky(C))
    through = inverse_C / values / scale.sqrt()  # C^-1 S^-1
    cross = -through @ users  # (G, r, r): items from users
    items = -inverse_C - cross @ through.mT
    return torch.cat([torch.cat([users, cross.mT], dim=2), torch.cat([cross, items], dim=2)], dim=1).float()
