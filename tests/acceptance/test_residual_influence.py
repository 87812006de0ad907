"""On the scale and with the settings it ships with, the service leaves at most 1 % of what the deleted data did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alteraser.deletions import Deletions
from alteraser.eraser import retrain, unlearn
from alteraser.influence import residual_influence
from alteraser.kinds import kind
from alteraser.loaders import load_split
from alteraser.snapshot import Snapshot
from benchmarks.models import PARENT_DIGEST, carried_over, random_users, trained_snapshot
from workers.settings import WorkerSettings

ORACLE_TOLERANCE = 1e-7
SERVED_TOLERANCE: float = WorkerSettings.model_fields["worker_tolerance"].default


@pytest.fixture(scope="module")
def parent(data_dir: Path) -> Snapshot:
    return trained_snapshot("wmf", {}, load_split(data_dir / "ml-1m" / "ratings.tsv").train, seed=0)


def child_of(parent: Snapshot, subject: Deletions, tolerance: float) -> Snapshot:
    return unlearn(parent, subject, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance).snapshot


def test_a_median_users_influence_is_gone_and_the_oracle_is_what_a_cold_retrain_finds(parent: Snapshot) -> None:
    by_activity = np.argsort(parent.interactions.by_user.counts, kind="stable")
    median = parent.interactions.users.ids[by_activity[len(by_activity) // 2]]
    subject = Deletions(subjects=frozenset([median]))
    oracle = child_of(parent, subject, ORACLE_TOLERANCE)
    cold = retrain(parent, subject, watermark=1, parent_digest=PARENT_DIGEST, seed=5, tolerance=1e-4).snapshot
    before = carried_over(parent, oracle.interactions)
    served = child_of(parent, subject, SERVED_TOLERANCE)
    wmf = kind("wmf")
    assert residual_influence(wmf, before, before, oracle.parameters) == 1.0
    assert residual_influence(wmf, before, cold.parameters, oracle.parameters) < 1e-4
    assert residual_influence(wmf, before, served.parameters, oracle.parameters) <= 1e-2


@pytest.mark.parametrize("n_users", [1, 60])
def test_the_influence_of_users_drawn_at_random_is_gone(parent: Snapshot, n_users: int) -> None:
    subjects = random_users(parent.interactions, n_users, draw=3)
    oracle = child_of(parent, subjects, ORACLE_TOLERANCE)
    served = child_of(parent, subjects, SERVED_TOLERANCE)
    before = carried_over(parent, oracle.interactions)
    assert residual_influence(kind("wmf"), before, served.parameters, oracle.parameters) <= 1e-2
