"""The objective and Newton's equations of any score of gathered blocks: its loss plus frequency-scaled L2."""

from __future__ import annotations

import torch
from torch import Tensor

from alteraser.block_steps import local_step, moved, rows_moved
from alteraser.gathered_loss import GatheredLoss
from alteraser.l2 import L2
from alteraser.model import LocalStep, NewtonSystem, Parameters, RemovedTerms, Side, Solver

SMALL = 1e-3
"""Gradients are not measured against less than this, so that a model without data can reach its minimum."""

DAMPINGS = (0.0, 0.01, 0.1, 1.0, 10.0)
"""Levenberg's, of the shared vector's step, in means of its block's diagonal."""


class GatheredObjective:
    """``loss(users, items, shared) + 1/2 sum l2 |block - centre|^2`` over one set of terms; see `Objective`.

    Every derivative is made by torch.func from the score alone, in float64. Derivatives written by hand, as those of
    `neumf`, share what they have in common, compute in float32 where that is enough, gather only what meets
    the network, and are several times faster.

    Args:
        loss: Over the positives and their negatives.
        l2: The L2 terms, on the same device.
    """

    solver: Solver = "lbfgs"

    def __init__(self, loss: GatheredLoss, l2: L2) -> None:
        self.passes = 0
        self.outgrown = False
        self.sides: tuple[Side, ...] = ("users", "items", "shared") if len(l2.shared) else ("users", "items")
        self._loss, self._l2 = loss, l2
        self._prepared: GatheredEquations | None = None
        self._gradient: Parameters | None = None

    def value_and_gradient(self, at: Parameters) -> tuple[float, Parameters]:
        """Return the objective and its gradient; see `Objective`."""
        self.passes += 1
        value, gradient = self._loss.value_and_gradient(at)
        return value + self._l2.value(at), gradient.plus(self._l2.gradient(at))

    def gradient_scale(self, at: Parameters) -> float:
        """Return the norm of the L2 part of the gradient; see `Objective`."""
        return max(self._l2.gradient(at).norm(), SMALL)

    def solve_blocks(self, at: Parameters, side: Side) -> Parameters:
        """Return ``at`` after one Gauss-Newton step of each block of one side; see `Objective`.

        Given the rest, the rows of a side are independent of each other: each takes the longest of a few shares of its
        own step that lessens its own part of the objective, or stays. The shared vector takes the best of a few damped
        steps, or stays.
        """
        _, gradient = self.value_and_gradient(at)
        equations = GatheredEquations(self._loss, at, gradient, self._l2, None)
        if side == "shared":
            return self._shared_moved(at, equations)
        step = -equations.solved(side, gradient.users if side == "users" else gradient.items)
        return rows_moved(at, side, step, lambda trial: self._parts(trial, side))

    def prepare(self, at: Parameters) -> None:
        """Compute the gradient and the blocks at ``at``, which the solver's first step takes; see `Objective`."""
        _, self._gradient = self.value_and_gradient(at)
        self._prepared = GatheredEquations(self._loss, at, self._gradient, self._l2, None)

    def local_step(self, at: Parameters, removed: RemovedTerms) -> LocalStep:
        """Return one Gauss-Newton step of the rows that lost a term, `prepare` having been called; see `Objective`."""
        if self._prepared is None or self._gradient is None:
            self.prepare(at)
            return self.local_step(at, removed)
        gradient, self._gradient = self._gradient, None
        return local_step(gradient, removed, self._prepared.solved)

    def fit_width(self, at: Parameters) -> Parameters:
        """Return ``at``: the width is a hyper-parameter; see `Objective`."""
        return at

    def linearise(self, at: Parameters, gradient: Parameters, near: NewtonSystem | None) -> NewtonSystem:
        """Return Newton's equations; see `Objective`."""
        self.passes += 1
        known = near if isinstance(near, GatheredEquations) else self._prepared
        self._prepared = None
        return GatheredEquations(self._loss, at, gradient, self._l2, known)

    def _shared_moved(self, at: Parameters, equations: GatheredEquations) -> Parameters:
        candidates = [at, *(moved(at, "shared", equations.shared_step(damping)) for damping in DAMPINGS)]
        return min(candidates, key=lambda each: float(self._parts(each, "shared")))

    def _parts(self, at: Parameters, side: Side) -> Tensor:
        """Return the part of the objective that each block of one side has, up to a constant, (n_rows,) or (1,)."""
        parts = self._loss.parts(at, side)
        if side == "shared":
            return parts + self._l2.value(at)
        rows, l2 = (at.users, self._l2.users) if side == "users" else (at.items, self._l2.items)
        return parts + 0.5 * l2 * rows.square().sum(dim=1)


class GatheredEquations:
    """H v = -g over all blocks at one iterate; see `NewtonSystem`. Float64 inside, float32 vectors outside.

    The preconditioner is the Gauss-Newton blocks: second derivatives with the score taken to be linear in the block,
    positive definite where the Hessian's own blocks need not be. Memory: 8 w^2 bytes a row of width w, and 8 m^2.

    Args:
        loss: Over the terms.
        at: The iterate.
        gradient: Of the whole objective there.
        l2: The L2 terms.
        near: Equations whose blocks are near enough to precondition these.
    """

    def __init__(
        self, loss: GatheredLoss, at: Parameters, gradient: Parameters, l2: L2, near: GatheredEquations | None
    ) -> None:
        self._loss, self._at, self._l2 = loss, at, l2
        self.gradient = gradient
        self._factors: dict[Side, Tensor] = {}
        self._blocks_of: GatheredEquations = near._blocks_of if near else self
        self.right_hand_side = -gradient.flat().float()

    def multiply(self, v: Tensor) -> Tensor:
        """Return the exact Hessian times ``v``; see `NewtonSystem`."""
        direction = self.expand(v)
        return self._loss.times(self._at, direction).plus(self._l2.times(direction)).flat().float()

    def precondition(self, r: Tensor) -> Tensor:
        """Return the blocks' inverses times ``r``; see `NewtonSystem`."""
        of = self.expand(r)
        solved = Parameters(
            self.solved("users", of.users), self.solved("items", of.items), self.solved("shared", of.shared)
        )
        return solved.flat().float()

    def expand(self, v: Tensor) -> Parameters:
        """Return ``v`` as blocks in float64; see `NewtonSystem`."""
        return self._at.shaped(v.double())

    def solved(self, side: Side, r: Tensor) -> Tensor:
        """Return the inverse of each of a side's blocks times its row of ``r``, in the shape of ``r``."""
        factors = self._blocks_of._factors
        if side not in factors:
            factors[side] = torch.linalg.cholesky(self._blocks_of._block(side))
        solved: Tensor = torch.cholesky_solve(r[..., None], factors[side])[..., 0]
        return solved

    def shared_step(self, damping: float) -> Tensor:
        """Return the shared vector's step with ``damping`` means of its block's diagonal added to it, (m,)."""
        block = self._block("shared")
        block.diagonal().add_(damping * block.diagonal().mean())
        return -torch.cholesky_solve(self.gradient.shared[:, None], torch.linalg.cholesky(block))[:, 0]

    def _block(self, side: Side) -> Tensor:
        if side == "shared":
            return self._loss.shared_block(self._at) + torch.diag(self._l2.shared)
        block = self._loss.row_blocks(self._at, side)
        block.diagonal(dim1=1, dim2=2).add_((self._l2.users if side == "users" else self._l2.items)[:, None])
        return block
