"""Weighted matrix factorisation: squared loss over all pairs, so that every block is an exact quadratic.

    f(P, Q) =   1/2 sum_D (1 - p.q)^2  +  alpha0/2 sum_all (p.q)^2
              + reg/2 [ sum_u (n_u + alpha0 I0) |p_u|^2  +  sum_i (n_i + alpha0 U0) |q_i|^2 ]

D are the interactions, n_u and n_i their live counts. I0 and U0 are the numbers of items and users *at training* and
stay with the model: were they live counts, one deletion would change everybody's regulariser. A user without
interactions has the minimiser p_u = 0 and adds nothing: dropping the row is the same as keeping it empty.

The whole-data weighting follows Hu, Koren, Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (ICDM
2008); the frequency-scaled L2 follows Rendle, Krichene, Zhang, Koren, "Revisiting the Performance of iALS" (RecSys
2022).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser import certificate
from alteraser.certificate import Certificate
from alteraser.equations import FactorEquations
from alteraser.equations import Side as EquationsSide
from alteraser.errors import InvalidHyperparameter
from alteraser.hyperparameters import check_positive, completed, typed
from alteraser.interactions import Csr, Interactions
from alteraser.model import (
    Hyperparameters,
    LocalStep,
    NewtonSystem,
    Objective,
    Parameters,
    RemovedTerms,
    Side,
    Solver,
    sum_of_squares,
)
from alteraser.outside import OutsideGradient
from alteraser.pattern import Pattern
from alteraser.subproblems import Subproblems, TypicalInverse
from alteraser.width import ASKED_FOR, fitted

SMALL = 1e-3
"""Gradients are not measured against less than this for each pair, so that a model whose minimum is 0 can reach it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WmfHyperparameters:
    """What defines the objective of one trained model; lives in its snapshot's manifest.

    Attributes:
        d: Width of the embeddings; with ``saturate`` only that at the start of training.
        saturate: 1 to add latent dimensions until the minimum is the global one and can be proven to be, and to drop
            those that hold nothing; 0 to keep d.
        alpha0: Weight of a pair that is not an interaction, against 1 for one that is.
        reg: L2, scaled by each row's frequency.
        n_users_0: Users at training.
        n_items_0: Items at training.
        init_scale: Standard deviation of a row's norm at the start of training.
    """

    d: int = 64
    saturate: int = 1
    alpha0: float = 0.3
    reg: float = 0.01
    init_scale: float = 0.1
    n_users_0: int = 0
    n_items_0: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_positive(self, ("d", "alpha0", "reg", "init_scale"))
        if self.saturate not in (0, 1):
            raise InvalidHyperparameter("saturate", "must be 0 or 1")


class Wmf:
    """The kind ``wmf``."""

    name = "wmf"

    def hyperparameters(self, given: Mapping[str, object], data: Interactions) -> Hyperparameters:
        """Return the complete hyper-parameters; see `ModelKind`."""
        return completed(WmfHyperparameters, given, {"n_users_0": data.n_users, "n_items_0": data.n_items})

    def initialise(
        self, data: Interactions, hyperparameters: Hyperparameters, generator: torch.Generator
    ) -> Parameters:
        """Return normal random factors, no wider than the scores can have rank; see `ModelKind`."""
        h = typed(WmfHyperparameters, hyperparameters)
        d = max(min(h.d, data.n_users, data.n_items), 1)
        scale = h.init_scale / d**0.5

        def factors(n: int) -> Tensor:
            return torch.randn(n, d, dtype=torch.float64, generator=generator).mul_(scale)

        return Parameters(factors(data.n_users), factors(data.n_items), torch.zeros(0, dtype=torch.float64))

    def objective(self, data: Interactions, hyperparameters: Hyperparameters, device: torch.device) -> Objective:
        """Return the objective f over ``data``; see `ModelKind`."""
        return WmfObjective(data, typed(WmfHyperparameters, hyperparameters), device)

    def certify(
        self, parameters: Parameters, data: Interactions, hyperparameters: Hyperparameters
    ) -> Certificate | None:
        """Return the duality certificate of `alteraser.certificate`; see `ModelKind`."""
        return certificate.certify(parameters.users.numpy(), parameters.items.numpy(), data, hyperparameters)

    def distance(self, before: Parameters, after: Parameters) -> float:
        """Return ``|P Q^T - P' Q'^T|_F``; see `ModelKind`."""
        return certificate.distance_between(
            (before.users.numpy(), before.items.numpy()), (after.users.numpy(), after.items.numpy())
        )

    def scores(self, parameters: Parameters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ``p_u . q_i`` for the given users and every item; see `ModelKind`."""
        users = parameters.users.numpy()[rows]  # (B, d)
        scores: NDArray[np.float64] = users @ parameters.items.numpy().T
        return scores


@dataclass(frozen=True, slots=True)
class _Lost:
    """One side of the pairs a deletion takes away: the parent's factors, the pairs' rows, and where rows are now."""

    factors: Tensor
    rows: Tensor
    kept: Tensor


class WmfObjective:
    """f over one set of interactions; see the module's docstring. Holds no parameters and nothing of other data."""

    sides: tuple[Side, ...] = ("users", "items")
    solver: Solver = "newton"

    def __init__(self, data: Interactions, hyperparameters: WmfHyperparameters, device: torch.device) -> None:
        h = hyperparameters
        self.passes = 0
        self.outgrown = False
        self._alpha0, self._reg, self._fits_width = h.alpha0, h.reg, bool(h.saturate)

        def side(csr: Csr, n_columns: int, n_columns_0: int) -> Subproblems:
            pattern = Pattern(csr, n_columns, device)
            return Subproblems(pattern, h.alpha0, l2_always=h.reg * h.alpha0 * n_columns_0, l2_per_entry=h.reg)

        self._users = side(data.by_user, data.n_items, h.n_items_0)
        self._items = side(data.by_item, data.n_users, h.n_users_0)
        self._item_order = torch.from_numpy(data.item_order).to(device)
        self._typical: tuple[TypicalInverse, TypicalInverse]

    def value_and_gradient(self, at: Parameters) -> tuple[float, Parameters]:
        """Return f and its gradient, float64 throughout; see `Objective`."""
        self.passes += 1
        P, Q = at.users, at.items
        errors = self._users.pattern.sample(P, Q) - 1  # (nnz,) by user
        PtP, QtQ = P.T @ P, Q.T @ Q
        l2_users, l2_items = self._l2(at)
        value = errors.square().sum() + self._alpha0 * (PtP * QtQ).sum() + (l2_users * P).sum() + (l2_items * Q).sum()
        users = self._users.pattern.weighted_sum(errors, Q) + self._alpha0 * P @ QtQ + l2_users
        items = self._items.pattern.weighted_sum(errors[self._item_order], P) + self._alpha0 * Q @ PtP + l2_items
        return 0.5 * float(value), Parameters(users, items, at.shared)

    def gradient_scale(self, at: Parameters) -> float:
        """Return the norm of the L2 part of the gradient, but no less than `SMALL` a pair; see `Objective`."""
        floor = SMALL * math.sqrt(len(self._users.pattern) + 1)
        return max(float(sum_of_squares(*self._l2(at)).sqrt()), floor)

    def solve_blocks(self, at: Parameters, side: Side) -> Parameters:
        """Return ``at`` with the blocks of one side at their exact minimisers, solved in float32; see `Objective`."""
        self.passes += 1
        if side == "users":
            return replace(at, users=self._users.solve(at.items))
        return replace(at, items=self._items.solve(at.users))

    def prepare(self, at: Parameters) -> None:
        """Diagonalise the typical sub-problems of both sides at ``at``; see `Objective`."""
        self._typical = self._users.typical(at.items), self._items.typical(at.users)

    def local_step(self, at: Parameters, removed: RemovedTerms) -> LocalStep:
        """Return a step by the inverses of typical sub-problems; see `Objective`.

        The gradient is minus that of the terms taken away, known without a look at any other. On MovieLens-1M the exact
        sub-problems would leave a residual influence of .084 on the touched items, these leave .093.
        """
        before = removed.before
        errors = (before.users[removed.users] * before.items[removed.items]).sum(dim=1) - 1  # (n,)
        pairs_u = _Lost(before.users, removed.users, removed.kept_users)
        pairs_i = _Lost(before.items, removed.items, removed.kept_items)
        user_rows, of_users = self._left_behind(at.users, pairs_u, pairs_i, errors)
        item_rows, of_items = self._left_behind(at.items, pairs_i, pairs_u, errors)
        return LocalStep(
            user_rows=user_rows,
            users=-self._typical[0].times(of_users.float(), user_rows).double(),
            item_rows=item_rows,
            items=-self._typical[1].times(of_items.float(), item_rows).double(),
            gradient=float(sum_of_squares(of_users, of_items).sqrt()),
            worst_block=max((float(g.norm(dim=1).max()) for g in (of_users, of_items) if len(g)), default=0.0),
        )

    def _left_behind(self, at: Tensor, own: _Lost, other: _Lost, errors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the kept rows of one side that lost a pair, (m,), and the gradient there, (m, d)."""
        kept_row = own.kept[own.rows]
        stays = kept_row >= 0
        rows, place = torch.unique(kept_row[stays], return_inverse=True)
        terms = errors[stays, None] * other.factors[other.rows[stays]] + self._reg * own.factors[own.rows[stays]]
        gradient = torch.zeros(len(rows), at.shape[1], dtype=at.dtype, device=at.device).index_add_(0, place, -terms)
        gone = other.factors[other.kept < 0]  # whole rows, with their share in the sum over all pairs
        return rows, gradient - self._alpha0 * at[rows] @ (gone.T @ gone)

    def linearise(self, at: Parameters, gradient: Parameters, near: NewtonSystem | None) -> NewtonSystem:
        """Return Newton's equations; see `Objective`."""
        self.passes += 1
        equations = FactorEquations(
            EquationsSide(self._users, at.users, gradient.users),
            EquationsSide(self._items, at.items, gradient.items),
            self._item_order,
            near if isinstance(near, FactorEquations) else None,
        )
        self.outgrown = self._fits_width and equations.outside_norm > 1.0 + ASKED_FOR
        return equations

    def fit_width(self, at: Parameters) -> Parameters:
        """Return ``at`` with the latent dimensions of `alteraser.width`; see `Objective`."""
        if not self._fits_width:
            return at
        self.passes += 1
        P, Q = at.users.float(), at.items.float()
        errors = self._users.pattern.sample(P, Q) - 1
        roots = self._users.l2.sqrt()[:, None], self._items.l2.sqrt()[:, None]
        outside = OutsideGradient(
            self._users.pattern,
            self._items.pattern,
            errors,
            errors[self._item_order],
            P,
            Q,
            (roots[0].float(), roots[1].float()),
            self._alpha0,
        )
        return fitted(at, outside, roots, self._alpha0)

    def _l2(self, at: Parameters) -> tuple[Tensor, Tensor]:
        return self._users.l2[:, None] * at.users, self._items.l2[:, None] * at.items
