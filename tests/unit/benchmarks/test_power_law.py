"""Made-up interactions of the size asked for, with a head and a tail."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.power_law import LARGE, SMALL, power_law, shape_of


def test_it_has_the_size_asked_for_and_nobody_without_interactions() -> None:
    data = power_law(500, 400, 10_000, seed=0)
    assert (data.n_users, data.n_items, len(data)) == (500, 400, 10_000)
    assert data.by_user.counts.min() >= 1


def test_few_have_many() -> None:
    data = power_law(*shape_of(SMALL[0]), SMALL[0], seed=0)
    for counts in (data.by_user.counts, data.by_item.counts):
        assert counts.max() > 5 * np.median(counts)
        assert np.sort(counts)[-len(counts) // 10 :].sum() > 0.2 * len(data)


def test_the_seed_decides() -> None:
    assert power_law(50, 40, 400, seed=1).digest() == power_law(50, 40, 400, seed=1).digest()
    assert power_law(50, 40, 400, seed=1).digest() != power_law(50, 40, 400, seed=2).digest()


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_ends_of_the_scale_are_as_stated(size: tuple[int, int, int]) -> None:
    assert shape_of(size[0]) == size[1:]
