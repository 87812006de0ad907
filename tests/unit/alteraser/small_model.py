"""A small problem every solver test shares, and slow references that need no cleverness to be right."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.autograd.functional import hessian

from alteraser.interactions import Interactions
from alteraser.model import Hyperparameters, Parameters
from alteraser.snapshot import Snapshot
from alteraser.synthetic import synthetic
from alteraser.train import CPU, train
from alteraser.wmf import Wmf, WmfObjective

GIVEN = {"d": 6, "reg": 0.02, "saturate": 0}
SATURATED = {"d": 6, "reg": 0.05, "saturate": 1}
PARENT_DIGEST = "0" * 64


def small_data(seed: int = 0, n_users: int = 40, n_items: int = 30, n_interactions: int = 400) -> Interactions:
    log = synthetic(n_users, n_items, n_interactions, seed)
    return Interactions.from_pairs(list(log.users), list(log.items))


def small_snapshot(
    data: Interactions, seed: int = 0, given: Mapping[str, object] = GIVEN, kind: str = "wmf"
) -> Snapshot:
    trained = train(kind, given, data, seed=seed)
    return Snapshot(
        kind=kind,
        hyperparameters=dict(trained.hyperparameters),
        parameters=trained.parameters,
        interactions=data,
        watermark=0,
        parent=None,
        residual=trained.report.residual,
    )


def objective_over(data: Interactions, hyperparameters: Hyperparameters | None = None) -> WmfObjective:
    complete = hyperparameters or Wmf().hyperparameters(GIVEN, data)
    objective = Wmf().objective(data, complete, CPU)
    assert isinstance(objective, WmfObjective)
    return objective


def random_parameters(data: Interactions, seed: int = 0) -> Parameters:
    generator = torch.Generator().manual_seed(seed)
    return Wmf().initialise(data, Wmf().hyperparameters(GIVEN | {"init_scale": 1.0}, data), generator)


def scores_of(snapshot: Snapshot) -> Tensor:
    return snapshot.parameters.users @ snapshot.parameters.items.T


def dense_value(data: Interactions, h: Hyperparameters, P: Tensor, Q: Tensor) -> Tensor:
    """F written down pair by pair, as in the docstring of `alteraser.wmf`."""
    alpha0, reg = float(h["alpha0"]), float(h["reg"])
    met = torch.zeros(data.n_users, data.n_items, dtype=torch.float64)
    for row in range(data.n_users):
        met[row, torch.from_numpy(data.by_user.row(row).astype("int64"))] = 1.0
    scores = P @ Q.T
    n_u, n_i = met.sum(dim=1), met.sum(dim=0)
    l2 = ((n_u + alpha0 * float(h["n_items_0"])) * P.square().sum(dim=1)).sum()
    l2 = l2 + ((n_i + alpha0 * float(h["n_users_0"])) * Q.square().sum(dim=1)).sum()
    return 0.5 * ((met * (1 - scores).square()).sum() + alpha0 * scores.square().sum() + reg * l2)


def as_vector(at: Parameters) -> Tensor:
    """All factors as one flat vector, users first."""
    return torch.cat([at.users.reshape(-1), at.items.reshape(-1)])


def dense_gradient(data: Interactions, h: Hyperparameters, at: Parameters) -> Parameters:
    """The gradient of F by automatic differentiation."""
    P, Q = (factors.clone().requires_grad_() for factors in (at.users, at.items))
    of_P, of_Q = torch.autograd.grad(dense_value(data, h, P, Q), (P, Q))
    return Parameters(of_P, of_Q, at.shared)


def dense_hessian(data: Interactions, h: Hyperparameters, at: Parameters) -> Tensor:
    """The Hessian of F at the flat vector of all factors."""
    split, d = at.users.numel(), at.users.shape[1]

    def value(v: Tensor) -> Tensor:
        return dense_value(data, h, v[:split].view(-1, d), v[split:].view(-1, d))

    found: Tensor = hessian(value, as_vector(at))  # type: ignore[no-untyped-call]
    return found
