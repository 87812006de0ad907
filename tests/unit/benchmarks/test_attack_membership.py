"""Likelihood ratios against densities and against the known optimum, error rates against counting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from benchmarks.membership import (
    Observed,
    area_under_curve,
    attacked,
    caught,
    clopper_pearson,
    curve,
    log_likelihood_ratio,
    with_statistic,
)


def test_the_ratio_is_that_of_two_gaussian_densities_with_the_pooled_variance() -> None:
    generator = np.random.default_rng(0)
    inside, outside, x = generator.normal(2, 1, 30), generator.normal(0, 1.5, 20), generator.normal(1, 2, 9)
    pooled = (29 * inside.var(ddof=1) + 19 * outside.var(ddof=1)) / 48
    expected = norm.logpdf(x, inside.mean(), pooled**0.5) - norm.logpdf(x, outside.mean(), pooled**0.5)
    assert log_likelihood_ratio(x, inside, outside) == pytest.approx(expected)


def test_models_that_are_all_alike_give_no_ratio() -> None:
    same = np.full(4, 0.3)
    assert not log_likelihood_ratio(np.array([0.3, 0.4]), same, same).any()


def test_a_statistic_that_never_varies_decides_alone() -> None:
    ratios = log_likelihood_ratio(np.array([1.0, 0.0]), np.ones(3), np.zeros(3))
    assert ratios[0] > 1e6
    assert ratios[1] < -1e6


def test_the_area_counts_pairs_and_half_of_the_ties() -> None:
    generator = np.random.default_rng(1)
    inside, outside = generator.integers(0, 6, 40).astype(float), generator.integers(0, 5, 30).astype(float)
    above = (inside[:, None] > outside).mean() + (inside[:, None] == outside).mean() / 2
    assert area_under_curve(inside, outside) == pytest.approx(above)


def test_those_caught_are_above_a_threshold_that_few_others_exceed() -> None:
    generator = np.random.default_rng(2)
    inside, outside = generator.normal(2, 1, 500), generator.normal(0, 1, 1000)
    thresholds = [t for t in outside if (outside > t).mean() <= 0.01]
    assert caught(inside, outside).share == (inside > min(thresholds)).mean()


def test_ties_with_the_threshold_catch_nobody() -> None:
    assert caught(np.zeros(10), np.zeros(200)).share == 0.0
    assert caught(np.array([0.0, 1.0]), np.zeros(200)).share == 0.5


def test_too_few_others_allow_no_false_alarm() -> None:
    outside = np.arange(50.0)
    assert caught(np.array([48.5, 49.0, 49.5]), outside).share == pytest.approx(1 / 3)


@pytest.mark.parametrize(("k", "n"), [(0, 20), (1, 20), (7, 20), (20, 20)])
def test_the_interval_holds_what_a_test_of_either_side_does_not_reject(k: int, n: int) -> None:
    found = clopper_pearson(k, n)
    assert found.share == k / n
    if k > 0:
        assert binom.sf(k - 1, n, found.low) == pytest.approx(0.025)
    if k < n:
        assert binom.cdf(k, n, found.high) == pytest.approx(0.025)
    assert (found.low == 0.0) == (k == 0)
    assert (found.high == 1.0) == (k == n)


def test_the_curve_has_both_rates_at_every_threshold() -> None:
    inside, outside = np.array([3.0, 2.0, 2.0, 0.0]), np.array([2.0, 1.0])
    assert curve(inside, outside) == [(0, 0), (0, 0.25), (0.5, 0.75), (1, 0.75), (1, 1)]


def gaussian_targets(effect: float, n_targets: int = 40, n_models: int = 64, seed: int = 3) -> list[Observed]:
    """Targets with a statistic that a member moves by so many standard deviations, at their own scales, and noise."""
    generator = np.random.default_rng(seed)
    model = np.arange(n_models)
    targets = []
    for _ in range(n_targets):
        first = generator.permutation([True, False] * (n_models // 4))
        member = np.stack([first, ~first], axis=1).ravel()  # in exactly one model of each pair
        scale, place = generator.lognormal(), generator.normal()
        signal = place + scale * (generator.normal(size=n_models) + effect * member)
        targets.append(Observed({"noise": generator.normal(size=n_models), "signal": signal}, member, model))
    return targets


def test_the_attack_finds_the_statistic_that_tells_and_is_nearly_as_good_as_knowing_the_gaussians() -> None:
    found = attacked(gaussian_targets(effect=3.0))
    assert found.statistics == ("signal", "signal")
    assert found.area == pytest.approx(norm.cdf(3 / 2**0.5), abs=0.02)
    best = norm.sf(norm.isf(0.01) - 3.0)
    assert best - 0.12 < found.caught.share < best + 0.03
    assert len(found.inside) == len(found.outside) == 40 * 32


def test_targets_on_very_different_scales_are_judged_by_their_own() -> None:
    targets = gaussian_targets(effect=3.0)
    raw = np.concatenate([one.statistics["signal"][one.member] for one in targets])
    others = np.concatenate([one.statistics["signal"][~one.member] for one in targets])
    assert caught(raw, others).share < 0.5 * attacked(targets).caught.share


def test_where_there_is_nothing_to_tell_the_attack_is_chance() -> None:
    found = attacked(gaussian_targets(effect=0.0))
    assert found.area == pytest.approx(0.5, abs=0.05)
    assert found.caught.low <= 0.01 <= found.caught.high


def test_a_given_statistic_is_used_for_both_halves() -> None:
    found = with_statistic(gaussian_targets(effect=3.0), "noise")
    assert found.statistics == ("noise", "noise")
    assert found.area == pytest.approx(0.5, abs=0.05)


def test_no_model_is_judged_by_gaussians_it_was_part_of() -> None:
    (one,) = gaussian_targets(effect=1.0, n_targets=1, n_models=8)
    among = np.ones(8, dtype=np.bool_)
    before = one.scores_one_by_one("signal", among)
    k = int(np.flatnonzero(one.member)[0])
    one.statistics["signal"][k] += 1e6  # an outlier that is tested must not move its own threshold
    after = one.scores_one_by_one("signal", among)
    assert np.sign(after[0][0]) == np.sign(before[0][0]) or after[0][0] > before[0][0]
    rest = np.delete(one.statistics["signal"], k)
    others = np.delete(one.member, k)
    expected = log_likelihood_ratio(one.statistics["signal"][[k]], rest[others], rest[~others])
    assert after[0][0] == pytest.approx(expected[0])
