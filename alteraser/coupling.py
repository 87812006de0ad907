"""How users and items pull at each other outside the model's range: the few directions in which solving is slow.

Scale users by R_u^1/2 and items by R_i^1/2, their L2 weights. Along one latent dimension the Hessian of a factor model
is then, but for terms inside the model's range,

    [ Lambda_u   G~       ]
    [ G~^T       Lambda_i ]

with Lambda diagonal, 1 plus what the data adds, and G~ the scaled gradient with respect to the score matrix. Outside
the range of the factors G~ is W of `alteraser.outside`, whose norm is about 1 at a minimum of enough dimensions and
more where the width is fixed; inside it is -U V^T. In latent dimensions of small singular value the data adds little,
so this matrix is nearly singular along the leading singular vectors of W and the weakest of U and V: on MovieLens-1M
32 vectors of W times the last 16 of 64 dimensions held 98 % of what four steps of block-preconditioned conjugate
gradients had left. The sub-problems' inverses know nothing of G~; what it adds to them is added here, by Woodbury's
identity in these few directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from alteraser.outside import OutsideGradient
from alteraser.triplets import leading_triplets

WIDTH = 16
STEPS = 12
RANK = 96

NEARLY_SINGULAR = 0.99
"""The coupling is scaled down until it stays below this share of what would make the preconditioner singular,"""

STEP_DOWN = 0.97
"""by this factor at a time."""

DEPENDENT = 1e-6
"""Added to Gram matrices of nearly orthonormal vectors, should they not be."""

GROUPS = 12
"""Groups of latent dimensions that share one coupling; within a group the data's curvature is averaged."""

Curvature: TypeAlias = Callable[[Tensor], Tensor]
"""The curvature of each row of a side, L2 included, along orthonormal latent directions in groups: from (d, G, k) to
(n, G), the mean over the k of a group."""


class Side:
    """One side of the coupling.

    Args:
        l2: (n,) float32, the rows' L2 weights.
        curvature: Of the side's rows.
        triplets: (n, r) the side's singular vectors.
        weakest: (d, G, k) the latent directions that are coupled, in groups of alike ones.

    Attributes:
        triplets: As given.
        weights: (n, G) R^1/2 / curvature for each group.
        grams: (G, r, r) float64, A^T Lambda^-1 A.
    """

    def __init__(self, l2: Tensor, curvature: Curvature, triplets: Tensor, weakest: Tensor) -> None:
        self.triplets = triplets
        self._directions = weakest.flatten(1)
        self._size = weakest.shape[2]
        curvatures = curvature(weakest)
        self.weights = l2.sqrt()[:, None] / curvatures
        scaled = l2[:, None] / curvatures
        self.grams = torch.stack([triplets.T @ (triplets * column[:, None]) for column in scaled.T]).double()

    def pull(self, vectors: Tensor) -> Tensor:
        """Return what the vectors (n, d) come to along the triplets, (r, G k)."""
        found: Tensor = self.triplets.T @ ((vectors @ self._directions) * self._by_direction())
        return found

    def push(self, along: Tensor) -> Tensor:
        """Return the vectors (n, d) that ``along`` (r, G k) comes to."""
        found: Tensor = ((self.triplets @ along) * self._by_direction()) @ self._directions.T
        return found

    def _by_direction(self) -> Tensor:
        return self.weights.repeat_interleave(self._size, dim=1)


@dataclass(frozen=True, slots=True)
class Coupling:
    """What the coupling adds to the inverses of the sub-problems, at one iterate.

    Attributes:
        users: The users' side.
        items: The items' side.
        corrections: (G, 2 r, 2 r) of `_corrections`.
        outside_norm: Of the gradient outside the model's range, from below.
    """

    users: Side
    items: Side
    corrections: Tensor
    outside_norm: float

    @classmethod
    def of(
        cls, outside: OutsideGradient, l2: tuple[Tensor, Tensor], curvatures: tuple[Curvature, Curvature]
    ) -> Coupling:
        """Find the slow directions and invert along them.

        Args:
            outside: W at the iterate.
            l2: The rows' L2 weights, float32, (n_users,) and (n_items,).
            curvatures: Of the users' and of the items' rows.
        """
        W = leading_triplets(outside, len(outside.V), outside.V, rank=RANK, width=WIDTH, steps=STEPS)
        weakest = _grouped(outside.latent)
        n_weak = weakest.shape[1] * weakest.shape[2]
        # on the weakest part of the range G~ is -U V^T, singular values 1, and the data adds as little there
        values = torch.cat([W.values, W.values.new_ones(n_weak)])
        users = Side(l2[0], curvatures[0], torch.cat([W.users, outside.U[:, :n_weak]], dim=1), weakest)
        items = Side(l2[1], curvatures[1], torch.cat([W.items, -outside.V[:, :n_weak]], dim=1), weakest)
        norm = float(W.values[0]) if len(W.values) else 0.0
        return cls(users, items, _corrections(users.grams, items.grams, values.double()), norm)

    def added(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is to be added to the inverses times the two sides of a vector, ((n_users, d), (n_items, d))."""
        pulls = torch.cat([self.users.pull(users), self.items.pull(items)])  # (2 r, G k)
        grouped = pulls.T.reshape(len(self.corrections), -1, len(pulls))  # (G, k, 2 r)
        along = (grouped @ self.corrections).flatten(0, 1).T  # the corrections are symmetric
        r = self.users.triplets.shape[1]
        return self.users.push(along[:r]), self.items.push(along[r:])


def _grouped(latent: Tensor) -> Tensor:
    """Return the weaker half of the latent dimensions, which come by rising singular value, in groups, (d, G, k)."""
    n_weak = (latent.shape[1] + 1) // 2
    size = max(n_weak // GROUPS, 1)
    return latent[:, : n_weak - n_weak % size].reshape(len(latent), -1, size)


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
