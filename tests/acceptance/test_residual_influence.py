"""On the scale and with the settings it ships with, the service leaves at most 1 % of what the deleted data did."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alteraser.deletions import Deletions
from alteraser.eraser import retrain, unlearn
from alteraser.influence import residual_influence
from alteraser.kinds import kind
from alteraser.loaders import load_split
from alteraser.perturbation import fresh_noise
from benchmarks.models import PARENT_DIGEST, carried_over, trained_snapshot
from workers.settings import WorkerSettings

ORACLE_TOLERANCE = 1e-4
SERVED_TOLERANCE: float = WorkerSettings.model_fields["worker_tolerance"].default


def test_a_median_users_influence_on_movielens_1m_is_gone_as_a_cold_retrain_shows(data_dir: Path) -> None:
    parent = trained_snapshot("wmf", {}, load_split(data_dir / "ml-1m" / "ratings.tsv").train, seed=0)
    by_activity = np.argsort(parent.interactions.by_user.counts, kind="stable")
    median = parent.interactions.users.ids[by_activity[len(by_activity) // 2]]
    subject = Deletions(subjects=frozenset([median]))
    oracle = retrain(
        parent, subject, watermark=1, parent_digest=PARENT_DIGEST, seed=5, tolerance=ORACLE_TOLERANCE
    ).snapshot
    served = unlearn(
        parent, subject, watermark=1, parent_digest=PARENT_DIGEST, tolerance=SERVED_TOLERANCE, noise=fresh_noise()
    ).snapshot
    before = carried_over(parent, served.interactions)
    wmf = kind("wmf")
    assert residual_influence(wmf, before, before, oracle.parameters) == 1.0
    assert residual_influence(wmf, before, served.parameters, oracle.parameters) <= 1e-2
