"""A tiny model trained to stationarity, and one person it is to forget."""

from __future__ import annotations

import pytest

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions
from alteraser.snapshot import Snapshot
from alteraser.synthetic import synthetic
from alteraser.train import train


@pytest.fixture(scope="session")
def parent() -> Snapshot:
    log = synthetic(60, 40, 700, seed=1)
    data = Interactions.from_pairs(log.users.tolist(), log.items.tolist())
    trained = train("wmf", {"d": 4}, data, seed=3)
    return Snapshot(
        kind="wmf",
        hyperparameters=dict(trained.hyperparameters),
        parameters=trained.parameters,
        interactions=data,
        watermark=0,
        parent=None,
        residual=trained.report.residual,
    )


@pytest.fixture(scope="session")
def deletions(parent: Snapshot) -> Deletions:
    return Deletions(subjects=frozenset({parent.interactions.users.ids[7]}))
