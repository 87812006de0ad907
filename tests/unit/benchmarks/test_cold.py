"""The comparison with cold solvers at an equal objective gap."""

from __future__ import annotations

import math

import torch

from alteraser.model import Parameters
from benchmarks.cold import ColdRetrain, Reached, best_cold_seconds, seconds_to

NOWHERE = Parameters(*(torch.zeros(0) for _ in range(3)))
SLOW_START = (Reached(1.0, 110.0), Reached(2.0, 100.5), Reached(3.0, 100.0))
SLOW_END = (Reached(0.1, 105.0), Reached(0.2, 102.0), Reached(9.0, 100.4))


def cold(*curve: Reached) -> ColdRetrain:
    return ColdRetrain(0, NOWHERE, curve[-1].objective, curve[-1].seconds, 0, curve)


def test_a_curve_reaches_an_objective_where_it_first_is_no_larger() -> None:
    assert seconds_to(SLOW_START, 100.5) == 2.0
    assert seconds_to(SLOW_START, 104.0) == 2.0
    assert seconds_to(SLOW_START, 99.0) == math.inf


def test_the_faster_cold_solver_counts_at_each_gap() -> None:
    newton = [cold(*SLOW_START)]
    assert best_cold_seconds(newton, SLOW_END, oracle=100.0, gap=3.0) == 0.2
    assert best_cold_seconds(newton, SLOW_END, oracle=100.0, gap=0.45) == 3.0
    assert best_cold_seconds(newton, SLOW_END, oracle=100.0, gap=0.5) == 2.0


def test_of_several_retrains_the_median_counts_and_one_that_never_gets_there_is_infinite() -> None:
    stuck = cold(Reached(0.5, 120.0))
    assert best_cold_seconds([cold(*SLOW_START)] * 2 + [stuck], (), oracle=100.0, gap=0.5) == 2.0
    assert best_cold_seconds([cold(*SLOW_START)] + [stuck] * 2, (), oracle=100.0, gap=0.5) == math.inf
    assert best_cold_seconds([], (), oracle=100.0, gap=0.5) == math.inf


def test_gaps_below_rounding_are_one_gap() -> None:
    newton = [cold(Reached(3.0, 100.0 + 5e-12))]
    assert best_cold_seconds(newton, (), oracle=100.0, gap=-1e-12) == 3.0
