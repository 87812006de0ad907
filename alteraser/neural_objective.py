"""The objective of `neumf` over one set of terms: its value, its gradient, and steps of its blocks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

from alteraser.block_steps import local_step, moved, rows_moved
from alteraser.l2 import L2
from alteraser.model import LocalStep, NewtonSystem, Parameters, RemovedTerms, Side, Solver, sum_of_squares
from alteraser.network import Network
from alteraser.neural_equations import NeuralEquations
from alteraser.pattern import Pattern
from alteraser.rows import Rows
from alteraser.terms import Terms

LINEAR_BEYOND = 50.0
"""Where softplus is its asymptote to float64's last digit; torch's default of 20 would put a step into f."""

SMALL = 1e-3
"""Gradients are not measured against less than this, so that a model without data can reach its minimum, which is 0."""

DAMPINGS = (0.01, 0.1, 1.0, 10.0)
"""Levenberg's, of the weights' step, in means of their block's diagonal: far from a minimum the tower is anything but
linear in its weights, and steps without damping raise f a hundredfold."""

NEARBY = 0.3
"""Equations at an iterate no further away than this share of its norm lend their blocks."""


class NeuralObjective:
    """f of `alteraser.neumf` over one set of terms. Holds no parameters and nothing of other data.

    Args:
        terms: The positives and their negatives.
        l2: The L2 terms, on the same device.
    """

    sides: tuple[Side, ...] = ("users", "items", "shared")
    solver: Solver = "lbfgs"

    def __init__(self, terms: Terms, l2: L2) -> None:
        self.passes = 0
        self.outgrown = False
        self._terms, self._l2 = terms, l2
        self._prepared: NeuralEquations | None = None
        self._gradient: Parameters | None = None

    def value_and_gradient(self, at: Parameters) -> tuple[float, Parameters]:
        """Return f and its gradient, in the precision of ``at``; see `Objective`."""
        self.passes += 1
        terms, network = self._terms, Network.of(at)
        outputs = network.inner_products(terms)
        errors = torch.empty_like(outputs)
        of_user_m, of_item_m = torch.zeros_like(network.user_m), torch.zeros_like(network.item_m)
        l2 = self._l2.gradient(at)
        of_shared = l2.shared.clone()
        for k, chunk in enumerate(terms.chunks):
            activations = network.of_chunk(chunk)
            s = outputs[chunk.pairs].add_(activations.output(network.weights))
            r = torch.sub(terms.counts[chunk.pairs] * torch.sigmoid(s), terms.positives[chunk.pairs])
            of_x, of_weights = activations.gradient(network.weights, r)
            terms.add(of_user_m, of_item_m, of_x, k)
            of_shared += of_weights.flat()
            errors[chunk.pairs] = r
        of_users = terms.pattern.weighted_sum(errors, network.items.with_one_only)
        of_items = terms.by_item.weighted_sum(errors[terms.item_order], network.users.with_one_only)
        gradient = Parameters(
            Rows.assembled(of_users, of_user_m) + l2.users, Rows.assembled(of_items, of_item_m) + l2.items, of_shared
        )
        return float(self._losses(outputs).double().sum()) + self._l2.value(at), gradient

    def gradient_scale(self, at: Parameters) -> float:
        """Return the norm of the L2 part of the gradient; see `Objective`."""
        l2 = self._l2.gradient(at)
        return max(float(sum_of_squares(l2.users, l2.items, l2.shared).sqrt()), SMALL)

    def solve_blocks(self, at: Parameters, side: Side) -> Parameters:
        """Return ``at`` after one Gauss-Newton step of each block of one side, in float32; see `Objective`.

        Given the rest, the rows of a side are independent of each other: each takes the longest of a few shares of its
        own step that lessens its own part of f, or stays. The network's weights take the best of a few damped steps.
        """
        self.passes += 1
        at = Parameters(at.users.float(), at.items.float(), at.shared.float())
        _, gradient = self.value_and_gradient(at)
        equations = NeuralEquations(self._terms, at, gradient, self._l2, None)
        if side == "shared":
            found = self._weights_moved(at, equations)
        else:
            step = -equations.solved(side, gradient.users if side == "users" else gradient.items)
            found = rows_moved(at, side, step, lambda trial: self._parts(trial, side))
        return Parameters(found.users.double(), found.items.double(), found.shared.double())

    def _weights_moved(self, at: Parameters, equations: NeuralEquations) -> Parameters:
        candidates = [at, *(moved(at, "shared", equations.damped_step(damping)) for damping in DAMPINGS)]
        return min(candidates, key=lambda each: float(self._parts(each, "shared")))

    def fit_width(self, at: Parameters) -> Parameters:
        """Return ``at``: the width is a hyper-parameter of this kind; see `Objective`."""
        return at

    def prepare(self, at: Parameters) -> None:
        """Compute the gradient and the blocks at ``at``, which the solver's first step takes; see `Objective`."""
        _, self._gradient = self.value_and_gradient(at)
        self._prepared = NeuralEquations(self._terms, at, self._gradient, self._l2, None)

    def local_step(self, at: Parameters, removed: RemovedTerms) -> LocalStep:
        """Return one Gauss-Newton step of the rows that lost a term, `prepare` having been called; see `Objective`."""
        if self._prepared is None or self._gradient is None:
            self.prepare(at)
            return self.local_step(at, removed)
        gradient, self._gradient = self._gradient, None
        return local_step(gradient, removed, self._prepared.solved)

    def linearise(self, at: Parameters, gradient: Parameters, near: NewtonSystem | None) -> NewtonSystem:
        """Return Newton's equations; see `Objective`."""
        self.passes += 1
        prepared, self._prepared = self._prepared, None
        known = near if isinstance(near, NeuralEquations) else prepared
        if known is not None and known.distance(at) > NEARBY:
            known = None
        return NeuralEquations(self._terms, at, gradient, self._l2, known)

    def _losses(self, outputs: Tensor) -> Tensor:
        """Return the loss of every term, (n,)."""
        counts, positives = self._terms.counts, self._terms.positives
        of_negatives: Tensor = softplus(outputs, threshold=LINEAR_BEYOND)
        return counts * of_negatives - positives * outputs

    def _parts(self, at: Parameters, side: Side) -> Tensor:
        """Return the part of f that each block of one side has, (n_rows,) or (1,)."""
        terms = self._terms
        losses = self._losses(Network.of(at).outputs(terms))
        if side == "shared":
            return losses.double().sum()[None] + self._l2.value(at)
        if side == "users":
            return _row_sums(terms.pattern, losses) + 0.5 * self._l2.users * at.users.square().sum(dim=1)
        return _row_sums(terms.by_item, losses[terms.item_order]) + 0.5 * self._l2.items * at.items.square().sum(dim=1)


def _row_sums(pattern: Pattern, values: Tensor) -> Tensor:
    sums: Tensor = pattern.weighted_sum(values, values.new_ones(pattern.n_columns, 1))
    return sums[:, 0]
