"""A trend is seen where there is one, and noise is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.trend import LEAST_POINTS, trend

AT = list(range(50, 1050, 50))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.3, len(AT))


def test_an_exponential_has_its_own_slope() -> None:
    found = trend(AT, [10 ** (0.002 * at - 5) for at in AT])
    assert found is not None
    assert found.slope == pytest.approx(0.002)
    assert found.factor == pytest.approx(10 ** (0.002 * 950))
    assert found.grows


@pytest.mark.parametrize("seed", range(10))
def test_an_error_that_adds_up_is_seen_through_noise(seed: int) -> None:
    found = trend(AT, list(1e-6 * np.array(AT) * 10 ** noise(seed)))
    assert found is not None
    assert found.grows


def test_noise_alone_is_seldom_taken_for_growth() -> None:
    found = [trend(AT, list(1e-6 * 10 ** noise(seed))) for seed in range(200)]
    assert sum(each is not None and each.grows for each in found) <= 0.05 * 200  # one side of a 95 % interval: 2.5 %


def test_one_outlier_does_not_make_a_trend() -> None:
    values = 1e-6 * 10 ** noise(0)
    values[-1] = 1.0
    found = trend(AT, list(values))
    assert found is not None
    assert not found.grows


def test_what_falls_does_not_grow() -> None:
    found = trend(AT, [1 / at for at in AT])
    assert found is not None
    assert not found.grows
    assert found.high < 0


def test_what_is_unknown_or_zero_is_left_out() -> None:
    values = [None if at == 100 else 0.0 if at == 150 else 1e-6 for at in AT]
    found = trend(AT, values)
    assert found is not None
    assert found.points == len(AT) - 2
    assert found.slope == 0


def test_too_few_points_say_nothing() -> None:
    few = AT[: LEAST_POINTS - 1]
    assert trend(few, [1e-6] * len(few)) is None
