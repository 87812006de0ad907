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

from alteraser.coupling import Coupling, Curvature
from alteraser.model import Parameters
from alteraser.outside import OutsideGradient
from alteraser.rotations import Rotations
from alteraser.subproblems import Subproblems, TypicalInverse


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
        self.outside_norm = self._preconditioner.coupling.outside_norm
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
        outside, l2 = self.outside(), (self._l2_u[:, 0], self._l2_i[:, 0])
        curvatures = (_curvature(users.subproblems, self._Q), _curvature(items.subproblems, self._P))
        return Preconditioner(
            users.subproblems.typical(items.factors),
            items.subproblems.typical(users.factors),
            Coupling.of(outside, l2, curvatures),
        )


@dataclass(frozen=True, slots=True)
class Preconditioner:
    """Nearly the inverse of the Hessian: typical sub-problems, coupled through a few directions.

    Attributes:
        users: The inverses of the users' typical sub-problems.
        items: Of the items'.
        coupling: What is added to them.
    """

    users: TypicalInverse
    items: TypicalInverse
    coupling: Coupling

    def times(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inverse times a vector's two sides, ((n_users, d), (n_items, d))."""
        of_users, of_items = self.coupling.added(users, items)
        return self.users.times(users) + of_users, self.items.times(items) + of_items


def _curvature(subproblems: Subproblems, other: Tensor) -> Curvature:
    """Return the curvature of a side's rows; see `alteraser.coupling`.

    Args:
        subproblems: The side's.
        other: (n_columns, d) float32, the other side's factors.
    """

    def along(directions: Tensor) -> Tensor:
        squares = (other @ directions.flatten(1)).square().reshape(len(other), *directions.shape[1:]).mean(dim=2)
        of_pairs = subproblems.pattern.counted_sum(squares) + subproblems.alpha0 * squares.sum(dim=0)
        return of_pairs + subproblems.l2.float()[:, None]

    return along
