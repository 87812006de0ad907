"""Trained models to measure on, and draws of what is to be forgotten."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions, rows_in
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot
from alteraser.train import train

PARENT_DIGEST = "0" * 64


def trained_snapshot(kind: str, given: Mapping[str, object], data: Interactions, seed: int) -> Snapshot:
    """Train a model and return it as a snapshot nobody has written."""
    trained = train(kind, given, data, seed=seed)
    return Snapshot(
        kind=kind,
        hyperparameters=trained.hyperparameters,
        parameters=trained.parameters,
        interactions=data,
        watermark=0,
        parent=None,
        residual=trained.report.residual,
    )


def random_users(data: Interactions, n_users: int, draw: int) -> Deletions:
    """Draw that many distinct users."""
    rows = np.random.default_rng(draw).choice(data.n_users, n_users, replace=False)
    return Deletions(subjects=frozenset(data.users.ids[row] for row in rows))


def carried_over(parent: Snapshot, kept: Interactions) -> Parameters:
    """Return the parent's parameters for the rows of ``kept``: what doing nothing serves."""
    users, items = rows_in(kept.users, parent.interactions.users), rows_in(kept.items, parent.interactions.items)
    return Parameters(parent.parameters.users[users], parent.parameters.items[items], parent.parameters.shared)
