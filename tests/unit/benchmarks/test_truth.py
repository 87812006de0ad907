"""The oracle, and what cold retrains say of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from alteraser.influence import residual_influence
from alteraser.model import Parameters
from benchmarks import truth as truth_module
from benchmarks.cold import ColdRetrain
from benchmarks.truth import Truth
from tests.unit.benchmarks.small_case import SEEDS, small_case, small_truth


def test_the_oracle_is_stationary_and_cold_retrains_confirm_it() -> None:
    floor = small_truth().seed_floor(small_case())
    assert floor["oracle_relative_gradient"] < 1e-8
    assert floor["oracle_confirmed"]
    assert floor["oracle"] == "warm start"
    assert [each["seed"] for each in floor["against_oracle"]] == list(SEEDS)
    assert all(each["jaccard@10"] == each["rbo@10"] == 1.0 for each in floor["against_oracle"])
    (pair,) = floor["among_each_other"]
    assert pair["ri_all"] < 1e-8
    assert abs(pair["objective_difference"]) < 1e-9


def test_influence_is_that_of_the_definition() -> None:
    case, truth = small_case(), small_truth()
    after = Parameters(0.9 * case.before.users, case.before.items, case.before.shared)
    scores = {
        name: at.users @ at.items.T
        for name, at in (("before", case.before), ("after", after), ("oracle", truth.oracle))
    }
    left, moved = (scores["after"] - scores["oracle"]).square(), (scores["before"] - scores["oracle"]).square()
    touched = case.affected.items
    assert touched is not None
    assert 0 < len(touched) < case.kept.n_items
    assert truth.influence(case, after) == pytest.approx(float(left.sum() / moved.sum()))
    expected = float(left[:, touched].sum() / moved[:, touched].sum())
    assert truth.influence_on_affected(case, after) == pytest.approx(expected)
    assert truth.influence(case, after) == pytest.approx(
        residual_influence(case.kind, case.before, after, truth.oracle)
    )
    assert truth.influence(case, case.before) == pytest.approx(1.0)


def test_a_better_cold_retrain_takes_the_oracles_place_and_the_floor_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    case = small_case()
    worse = Parameters(0.9 * case.before.users, case.before.items, case.before.shared)
    monkeypatch.setattr(truth_module, "warm_oracle", lambda _case: worse)
    truth = Truth.of(case, SEEDS)
    assert truth.found_by == "cold retrain"
    assert truth.objective == min(cold.objective for cold in truth.retrains)


def test_retrains_that_disagree_do_not_confirm() -> None:
    case, truth = small_case(), small_truth()
    elsewhere = replace(truth.retrains[0], parameters=case.before)
    floor = replace(truth, retrains=(truth.retrains[0], elsewhere)).seed_floor(case)
    assert not floor["oracle_confirmed"]
    assert floor["worst_ri_all"] == pytest.approx(1.0)


def test_without_a_retrain_nothing_is_confirmed() -> None:
    floor = replace(small_truth(), retrains=()).seed_floor(small_case())
    assert not floor["oracle_confirmed"]
    assert floor["worst_ri_all"] is None


def test_the_curve_of_a_retrain_goes_down_to_its_objective() -> None:
    (cold, *_) = small_truth().retrains
    assert isinstance(cold, ColdRetrain)
    objectives = [reached.objective for reached in cold.curve]
    assert objectives[-1] == pytest.approx(cold.objective, rel=1e-12)
    assert objectives[0] > objectives[-1]
    seconds = [reached.seconds for reached in cold.curve]
    assert seconds == sorted(seconds)
    assert seconds[-1] <= cold.seconds


def test_alternation_alone_goes_down() -> None:
    objectives = np.array([reached.objective for reached in small_truth().alternation])
    assert len(objectives) > 1
    assert torch.from_numpy(np.diff(objectives)).max() <= 1e-9 * objectives[-1]
