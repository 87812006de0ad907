"""Neural matrix factorisation: an inner product and a small smooth network over embeddings of both sides, under BCE.

With a user's row [p | m | b] and an item's row [q | m' | b'], widths d, d and 1, and the tower of `alteraser.tower`:

    s(u, i) = p_u . q_i + b_u + b'_i + tower(m_u + m'_i)

    f =   sum_D [ softplus(-s(u, i)) + sum_{j in N(u, i)} softplus(s(u, j)) ]
        + 1/2 [ sum_u (reg n_u + reg_row) |row_u|^2 + sum_i (reg n_i + reg_row) |row_i|^2 ]
        + 1/2 (reg_shared |D_0| + reg_row) |w - w_0|^2

D are the interactions and n_u, n_i their live counts, D_0 those at training, N(u, i) the negatives of
`alteraser.negatives`, w the tower's weights (of which the last bias has reg_row alone). That is NeuMF of He et al.,
"Neural collaborative filtering" (WWW 2017), with three changes, all for a Hessian that second order can work with:

- the first layer W [m_u; m_i] = A m_u + B m_i has A and B taken into the embeddings, and the inner product its output
  weights: the same functions, fewer ways to write each of them;
- the activation is smooth: at a kink of ReLU gradients jump, and no second-order method settles;
- the weights are drawn to where they started, w_0, a function of a seed alone, instead of to 0. Drawn to 0, either L2
  is so weak that weights grow and embeddings shrink without end, or the whole tower falls to 0 and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.certificate import Certificate
from alteraser.hyperparameters import check_positive, completed, typed
from alteraser.interactions import Csr, Interactions
from alteraser.l2 import L2
from alteraser.model import Hyperparameters, Objective, Parameters
from alteraser.negatives import negatives
from alteraser.neural_objective import NeuralObjective
from alteraser.rows import Rows
from alteraser.score_distance import score_distance
from alteraser.terms import Terms
from alteraser.tower import Activations, Weights, hidden


@dataclass(frozen=True, slots=True, kw_only=True)
class NeumfHyperparameters:
    """What defines the objective of one trained model; lives in its snapshot's manifest.

    Attributes:
        d: Width of the inner product and of the tower's first layer; the second has half.
        negatives: Draws for each interaction; each has one negative on average.
        reg: L2 of a row, for each of its interactions.
        reg_row: L2 of a row without any, and what the others have on top.
        reg_shared: L2 of the network's weights around those they started from, for each interaction at training.
        init_scale: Standard deviation of a row's norm at the start of training.
        negatives_seed: Chooses the negatives.
        weights_seed: Chooses the weights that the network starts from and is drawn to.
        n_items_0: Items at training.
        n_interactions_0: Interactions at training.
    """

    d: int = 16
    negatives: int = 4
    reg: float = 0.1
    reg_row: float = 2.0
    reg_shared: float = 0.04
    init_scale: float = 1.0
    negatives_seed: int = 0
    weights_seed: int = 0
    n_items_0: int = 0
    n_interactions_0: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_positive(self, ("d", "negatives", "reg", "reg_row", "reg_shared", "init_scale"))


class Neumf:
    """The kind ``neumf``."""

    name = "neumf"

    def hyperparameters(self, given: Mapping[str, object], data: Interactions) -> Hyperparameters:
        """Return the complete hyper-parameters; see `ModelKind`."""
        return completed(NeumfHyperparameters, given, {"n_items_0": data.n_items, "n_interactions_0": len(data)})

    def initialise(
        self, data: Interactions, hyperparameters: Hyperparameters, generator: torch.Generator
    ) -> Parameters:
        """Return normal random rows and weights, biases zero; see `ModelKind`."""
        h = typed(NeumfHyperparameters, hyperparameters)

        def normal(*shape: int, scale: float) -> Tensor:
            return torch.randn(*shape, dtype=torch.float64, generator=generator).mul_(scale)

        def rows(n: int) -> Tensor:
            drawn = normal(n, 2 * h.d + 1, scale=h.init_scale / h.d**0.5)
            drawn[:, -1] = 0.0
            return drawn

        return Parameters(rows(data.n_users), rows(data.n_items), _weights_0(h.d, h.weights_seed))

    def objective(self, data: Interactions, hyperparameters: Hyperparameters, device: torch.device) -> Objective:
        """Return the objective f over ``data``; see `ModelKind`."""
        h = typed(NeumfHyperparameters, hyperparameters)
        drawn = negatives(data, seed=h.negatives_seed, per_positive=h.negatives, n_items_0=h.n_items_0)
        return NeuralObjective(Terms(data, drawn, device), _l2(data, h, device))

    def certify(
        self,
        parameters: Parameters,  # noqa: ARG002
        data: Interactions,  # noqa: ARG002
        hyperparameters: Hyperparameters,  # noqa: ARG002
    ) -> Certificate | None:
        """Return None: the objective is not convex, and nothing is proven of its other minima; see `ModelKind`."""
        return None

    def distance(self, before: Parameters, after: Parameters) -> float:
        """Return ``|X_before - X_after|_F``, of many pairs an estimate; see `alteraser.score_distance`."""
        return score_distance(self.scores, before, after)

    def scores(self, parameters: Parameters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return s(u, i) for the given users and every item; see `ModelKind`."""
        users, items = Rows(parameters.users[torch.from_numpy(rows)]), Rows(parameters.items)
        weights = Weights.of(parameters.shared, users.d)
        scores = users.with_bias @ items.with_one.T
        for k in range(len(rows)):
            scores[k] += Activations.of(weights, items.m + users.m[k]).output(weights)
        found: NDArray[np.float64] = scores.numpy()
        return found


def _weights_0(d: int, seed: int) -> Tensor:
    """Return the network's weights before training, a function of the seed alone that no version may change."""
    draw = np.random.RandomState(seed).standard_normal
    h = hidden(d)
    W, w = draw((h, d)) / d**0.5, draw(h) / h**0.5
    return torch.from_numpy(np.concatenate([W.ravel(), np.zeros(h), w, np.zeros(1)]))


def _l2(data: Interactions, h: NeumfHyperparameters, device: torch.device) -> L2:
    def scaled(csr: Csr) -> Tensor:
        return torch.from_numpy(h.reg * csr.counts + h.reg_row).to(device)

    centre = _weights_0(h.d, h.weights_seed).to(device)
    shared = torch.full_like(centre, h.reg_shared * h.n_interactions_0 + h.reg_row)
    shared[-1] = h.reg_row
    return L2(scaled(data.by_user), scaled(data.by_item), shared, centre)
