"""Core and edge users are who the definition says, and the published sets are of that definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alteraser.interactions import Interactions
from alteraser.loaders import load_split
from benchmarks.activity import Edge, by_activity, extreme_users, is_extreme, of_users, published_users
from tests.unit.alteraser.small_model import small_data

PERCENTAGES = (5, 10, 15, 20)


def brute_force(data: Interactions, *, most: bool, percentage: float) -> list[str]:
    """The users sorted by how many items they have, the k that come first."""
    counted = [(len(data.items_of(user)), user) for user in data.users.ids]
    ordered = sorted(counted, key=lambda each: -each[0] if most else each[0])
    return [user for _, user in ordered[: int(data.n_users * percentage / 100)]]


@pytest.mark.parametrize("percentage", [*PERCENTAGES, 33.4])
@pytest.mark.parametrize("seed", range(3))
def test_core_and_edge_are_the_ends_of_the_users_sorted_by_activity(percentage: float, seed: int) -> None:
    data = small_data(seed, n_users=57)
    assert extreme_users(data, "core", percentage) == set(brute_force(data, most=True, percentage=percentage))
    assert extreme_users(data, "edge", percentage) == set(brute_force(data, most=False, percentage=percentage))


def test_only_the_ends_are_ends() -> None:
    data = small_data(n_users=57)
    core, edge = extreme_users(data, "core", 20), extreme_users(data, "edge", 20)
    assert is_extreme(data, core, "core")
    assert is_extreme(data, edge, "edge")
    assert not is_extreme(data, edge, "core")
    assert not is_extreme(data, core, "edge")
    middle = frozenset(brute_force(data, most=True, percentage=60)[-1:])
    assert not is_extreme(data, middle, "core")
    assert not is_extreme(data, middle, "edge")


def test_active_users_and_the_others_are_everybody() -> None:
    data = small_data(n_users=57)
    active, others = by_activity(data)
    assert len(active) == 2
    assert sorted([*active, *others]) == list(range(57))
    assert data.by_user.counts[active].min() >= data.by_user.counts[others].max()


def test_the_test_items_of_some_users_are_theirs_alone() -> None:
    data = small_data()
    part = of_users(data, np.array([3, 7]))
    assert part.users is data.users
    assert part.items_of(data.users.ids[3]) == data.items_of(data.users.ids[3])
    assert len(part) == data.by_user.counts[[3, 7]].sum()


def test_a_folder_without_published_sets_has_none(tmp_path: Path) -> None:
    assert published_users(tmp_path, "core", 5) is None


@pytest.mark.parametrize("percentage", PERCENTAGES)
@pytest.mark.parametrize("which", ["core", "edge"])
def test_the_published_sets_are_the_ends_of_the_training_part(data_dir: Path, which: Edge, percentage: int) -> None:
    folder = data_dir / "ml-100k" / "cure4rec"
    train, users = load_split(folder).train, published_users(folder, which, percentage)
    assert users is not None
    assert len(users) == len(extreme_users(train, which, percentage)) == 943 * percentage // 100
    assert is_extreme(train, users, which)
