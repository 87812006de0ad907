"""A model kind from a score alone: widths, a start and plain torch; everything else is made from them.

    f =   sum_D [ softplus(-s(u, i)) + sum_{j in N(u, i)} softplus(s(u, j)) ]
        + 1/2 [ sum_u (reg n_u + reg_row) |row_u|^2 + sum_i (reg n_i + reg_row) |row_i|^2 ]
        + 1/2 (reg_shared n_0 + reg_row) |w - w_0|^2

with s(u, i) = score(row_u, row_i, w), the interactions D, live counts n_u and n_i, the negatives N(u, i) of
`alteraser.negatives`, n_0 interactions at training, and w_0 where the shared vector started: drawn to 0, networks
either grow without end or fall to 0. docs/new-model.md tells how to write one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.certificate import Certificate
from alteraser.gathered_loss import GatheredLoss
from alteraser.gathered_objective import GatheredObjective
from alteraser.hyperparameters import check_positive, completed, typed
from alteraser.interactions import Csr, Interactions
from alteraser.l2 import L2
from alteraser.model import Hyperparameters, Objective, Parameters
from alteraser.negatives import negatives
from alteraser.score_distance import score_distance
from alteraser.terms import Terms


class Scorer(Protocol):
    """What a kind is, as far as `GatheredKind` has to know.

    Attributes:
        name: As it stands in a snapshot's manifest.
    """

    @property
    def name(self) -> str:
        """Return the kind's name as it stands in a snapshot's manifest."""

    def widths(self, d: int) -> tuple[int, int]:
        """Return how many numbers a user's row and an item's row have, both above 0, for the hyper-parameter ``d``."""

    def start(self, d: int, random: np.random.RandomState) -> NDArray[np.float64]:
        """Return what the shared vector starts from and is drawn to, (m,); m may be 0.

        It is made anew whenever a snapshot is read: what ``random`` does with a seed never changes in numpy, and this
        must not either.
        """

    def score(self, users: Tensor, items: Tensor, shared: Tensor) -> Tensor:
        """Return one score a pair, (n,): twice differentiable, and of pair k a function of its own rows alone.

        Args:
            users: (n, w_u) the row of each pair's user.
            items: (n, w_i) the row of each pair's item.
            shared: (m,) what all pairs share.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheredHyperparameters:
    """What defines the objective of one trained model; lives in its snapshot's manifest.

    Attributes:
        d: What the widths follow from.
        negatives: Draws for each interaction; each has one negative on average.
        reg: L2 of a row, for each of its interactions.
        reg_row: L2 of a row without any, and what the others have on top.
        reg_shared: L2 of the shared vector around what it started from, for each interaction at training.
        init_scale: Standard deviation of a row's norm at the start of training.
        negatives_seed: Chooses the negatives.
        weights_seed: Chooses what the shared vector starts from and is drawn to.
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


class GatheredKind:
    """A model kind made of a score; see `ModelKind`.

    Args:
        scorer: The score, the widths and the start.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    @property
    def name(self) -> str:
        """Return the scorer's name; see `ModelKind`."""
        return self.scorer.name

    def hyperparameters(self, given: Mapping[str, object], data: Interactions) -> Hyperparameters:
        """Return the complete hyper-parameters; see `ModelKind`."""
        return completed(GatheredHyperparameters, given, {"n_items_0": data.n_items, "n_interactions_0": len(data)})

    def initialise(
        self, data: Interactions, hyperparameters: Hyperparameters, generator: torch.Generator
    ) -> Parameters:
        """Return normal random rows, and the shared vector where it starts; see `ModelKind`."""
        h = typed(GatheredHyperparameters, hyperparameters)

        def rows(n: int, width: int) -> Tensor:
            drawn = torch.randn(n, width, dtype=torch.float64, generator=generator)
            return drawn * (h.init_scale / math.sqrt(width))

        of_user, of_item = self.scorer.widths(h.d)
        return Parameters(rows(data.n_users, of_user), rows(data.n_items, of_item), self._start(h))

    def objective(self, data: Interactions, hyperparameters: Hyperparameters, device: torch.device) -> Objective:
        """Return the objective f over ``data``; see `ModelKind`."""
        h = typed(GatheredHyperparameters, hyperparameters)
        drawn = negatives(data, seed=h.negatives_seed, per_positive=h.negatives, n_items_0=h.n_items_0)
        loss = GatheredLoss(self.scorer.score, Terms(data, drawn, device))
        return GatheredObjective(loss, self._l2(data, h, device))

    def certify(
        self,
        parameters: Parameters,  # noqa: ARG002
        data: Interactions,  # noqa: ARG002
        hyperparameters: Hyperparameters,  # noqa: ARG002
    ) -> Certificate | None:
        """Return None: nothing is known of the score that a proof could start from; see `ModelKind`."""
        return None

    def distance(self, before: Parameters, after: Parameters) -> float:
        """Return ``|X_before - X_after|_F``, of many pairs an estimate; see `alteraser.score_distance`."""
        return score_distance(self.scores, before, after)

    def scores(self, parameters: Parameters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the score of every item for the given users; see `ModelKind`."""
        items, shared = parameters.items, parameters.shared
        found = np.empty((len(rows), len(items)))
        for k, user in enumerate(parameters.users[torch.from_numpy(rows)]):
            found[k] = self.scorer.score(user.expand(len(items), -1), items, shared).numpy()
        return found

    def _start(self, h: GatheredHyperparameters) -> Tensor:
        return torch.from_numpy(self.scorer.start(h.d, np.random.RandomState(h.weights_seed)))

    def _l2(self, data: Interactions, h: GatheredHyperparameters, device: torch.device) -> L2:
        def scaled(csr: Csr) -> Tensor:
            return torch.from_numpy(h.reg * csr.counts + h.reg_row).to(device)

        centre = self._start(h).to(device)
        shared = torch.full_like(centre, h.reg_shared * h.n_interactions_0 + h.reg_row)
        return L2(scaled(data.by_user), scaled(data.by_item), shared, centre)
