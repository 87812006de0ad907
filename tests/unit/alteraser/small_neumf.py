"""A small neural problem, and slow references that need no cleverness to be right."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from alteraser.interactions import Interactions
from alteraser.model import Hyperparameters, Parameters
from alteraser.negatives import negatives
from alteraser.neumf import Neumf
from alteraser.neural_objective import NeuralObjective
from alteraser.snapshot import Snapshot
from alteraser.tower import Weights
from alteraser.train import CPU, train

D = 3
GIVEN = {"d": D, "reg": 0.1, "reg_row": 1.0, "reg_shared": 0.12}


def objective_over(data: Interactions, hyperparameters: Hyperparameters | None = None) -> NeuralObjective:
    complete = hyperparameters or Neumf().hyperparameters(GIVEN, data)
    objective = Neumf().objective(data, complete, CPU)
    assert isinstance(objective, NeuralObjective)
    return objective


def random_parameters(data: Interactions, seed: int = 0) -> Parameters:
    """Parameters with nothing at its starting value."""
    generator = torch.Generator().manual_seed(seed)
    start = Neumf().initialise(data, Neumf().hyperparameters(GIVEN, data), generator)
    noise = torch.randn(len(start.flat()), dtype=torch.float64, generator=generator)
    return start.plus(start.shaped(0.3 * noise))


def snapshot_of(data: Interactions, seed: int = 0, given: Mapping[str, object] = GIVEN) -> Snapshot:
    trained = train("neumf", given, data, seed=seed)
    return Snapshot(
        kind="neumf",
        hyperparameters=dict(trained.hyperparameters),
        parameters=trained.parameters,
        interactions=data,
        watermark=0,
        parent=None,
        residual=trained.report.residual,
    )


def scores_of(snapshot: Snapshot) -> Tensor:
    rows = np.arange(snapshot.interactions.n_users)
    return torch.from_numpy(Neumf().scores(snapshot.parameters, rows))


def dense_scores(at: Parameters) -> Tensor:
    """s(u, i) of every pair, as in the docstrings of `alteraser.neumf` and `alteraser.tower`, (n_users, n_items)."""
    d = (at.users.shape[1] - 1) // 2
    weights = Weights.of(at.shared, d)
    p, m, b = at.users[:, None, :d], at.users[:, None, d:-1], at.users[:, None, -1]
    q, m_i, b_i = at.items[None, :, :d], at.items[None, :, d:-1], at.items[None, :, -1]
    s1 = _phi(m + m_i)
    s2 = _phi(s1 @ weights.W.T + weights.b)
    return (p * q).sum(dim=2) + b + b_i + s2 @ weights.w + weights.c


def counted(data: Interactions, h: Hyperparameters) -> tuple[Tensor, Tensor]:
    """How often each pair is a positive and how often a negative, both (n_users, n_items)."""
    positives = torch.zeros(data.n_users, data.n_items, dtype=torch.float64)
    for row in range(data.n_users):
        positives[row, torch.from_numpy(data.by_user.row(row).astype("int64"))] = 1.0
    users, items = negatives(
        data, seed=int(h["negatives_seed"]), per_positive=int(h["negatives"]), n_items_0=int(h["n_items_0"])
    )
    drawn = torch.zeros_like(positives)
    drawn.index_put_((torch.from_numpy(users), torch.from_numpy(items)), torch.ones(1).double(), accumulate=True)
    return positives, drawn


def dense_value(data: Interactions, h: Hyperparameters, at: Parameters) -> Tensor:
    """The objective written down pair by pair."""
    s = dense_scores(at)
    positives, drawn = counted(data, h)
    loss = -(positives * torch.nn.functional.logsigmoid(s) + drawn * torch.nn.functional.logsigmoid(-s)).sum()
    scales = (float(h["reg"]) * positives.sum(dim=k) + float(h["reg_row"]) for k in (1, 0))
    rows = (at.users, at.items)
    l2 = sum((scale * row.square().sum(dim=1)).sum() for scale, row in zip(scales, rows, strict=True))
    off = (at.shared - _weights_at_start(data, h)).square()
    of_weights = reg_of_weights(h) * off[:-1].sum() + float(h["reg_row"]) * off[-1]
    return loss + 0.5 * (l2 + of_weights)


def reg_of_weights(h: Hyperparameters) -> float:
    """The weight of the L2 term of every weight but the last."""
    return float(h["reg_shared"]) * float(h["n_interactions_0"]) + float(h["reg_row"])


def _weights_at_start(data: Interactions, h: Hyperparameters) -> Tensor:
    return Neumf().initialise(data, h, torch.Generator().manual_seed(99)).shared


def _phi(z: Tensor) -> Tensor:
    return z / (1 + z.square()).sqrt()
