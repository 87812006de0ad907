"""Published datasets load with the counts they were published with."""

from __future__ import annotations

from pathlib import Path

import pytest

from alteraser.interactions import Interactions
from alteraser.loaders import load, load_split


@pytest.mark.parametrize(
    ("folder", "n_interactions", "n_users", "n_items"),
    [
        ("ml-100k", 100_000, 943, 1_682),
        ("ml-100k/cure4rec", 79_045 + 20_242, 943, 1_349),
        ("ml-1m", 1_000_209, 6_040, 3_706),
        ("ml-1m/receraser", 720_152 + 200_041, 6_040, 3_695),
        ("amazon-14core", 31_887 + 4_044, 1_435, 1_522),
        ("gowalla", 719_081 + 91_047 + 217_242, 29_858, 40_981),
    ],
)
def test_a_dataset_has_its_published_counts(
    data_dir: Path, folder: str, n_interactions: int, n_users: int, n_items: int
) -> None:
    log = load(data_dir / folder)
    data = Interactions.from_pairs(log.users, log.items)
    assert (len(log), len(data)) == (n_interactions, n_interactions)
    assert (data.n_users, data.n_items) == (n_users, n_items)


@pytest.mark.parametrize(
    ("folder", "n_train", "n_test"),
    [
        ("ml-100k/cure4rec", 79_045, 20_242),
        ("ml-1m/receraser", 720_152, 200_041),
        ("amazon-14core", 31_887, 4_044),
        ("gowalla", 719_081, 217_242),
    ],
)
def test_a_split_has_its_published_counts(data_dir: Path, folder: str, n_train: int, n_test: int) -> None:
    split = load_split(data_dir / folder)
    assert split.test is not None
    assert len(split.train) == n_train
    assert len(split.test) + split.n_test_dropped == n_test
