"""On real data, unlearning from the warm start *is* retraining: the same scores, the same lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from alteraser.deletions import Deletions
from alteraser.eraser import retrain, unlearn
from alteraser.evaluate import jaccard, top_k
from alteraser.interactions import Interactions
from alteraser.loaders import load_split
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot
from benchmarks.models import PARENT_DIGEST, carried_over, trained_snapshot

GIVEN = {"d": 32, "alpha0": 0.3, "reg": 0.02}
TIGHT = 1e-6


@pytest.fixture(scope="module")
def parent(ml_100k: Path) -> Snapshot:
    return trained_snapshot("wmf", GIVEN, load_split(ml_100k).train, seed=0)


def scores(parameters: Parameters) -> Tensor:
    return parameters.users @ parameters.items.T


def lists(parameters: Parameters, kept: Interactions) -> Tensor:
    return top_k(scores(parameters), kept.by_user, 10)


@pytest.mark.parametrize("percentile", [50, 99])
def test_a_user_unlearned_from_the_warm_start_equals_a_cold_retrain_from_another_seed(
    parent: Snapshot, percentile: int
) -> None:
    by_activity = np.argsort(parent.interactions.by_user.counts, kind="stable")
    row = by_activity[parent.interactions.n_users * percentile // 100]
    subject = Deletions(subjects=frozenset([parent.interactions.users.ids[row]]))
    forgotten = unlearn(parent, subject, watermark=1, parent_digest=PARENT_DIGEST, tolerance=TIGHT).snapshot
    retrained = retrain(parent, subject, watermark=1, parent_digest=PARENT_DIGEST, seed=7, tolerance=TIGHT).snapshot
    kept = forgotten.interactions
    untouched = carried_over(parent, kept)

    def distance(parameters: Parameters) -> float:
        return float((scores(parameters) - scores(retrained.parameters)).abs().max())

    def same_lists(parameters: Parameters) -> bool:
        return torch.equal(lists(parameters, kept), lists(retrained.parameters, kept))

    assert distance(forgotten.parameters) < 1e-4
    assert same_lists(forgotten.parameters)
    assert distance(untouched) > 1e-4
    assert not same_lists(untouched)
    assert jaccard(lists(untouched, kept), lists(retrained.parameters, kept)) < 1
