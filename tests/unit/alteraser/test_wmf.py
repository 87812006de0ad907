"""The objective, its gradient, its Hessian and its sub-problems equal a slow dense reference."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from alteraser.certificate import Certificate
from alteraser.deletions import Deletions
from alteraser.errors import InvalidHyperparameter, UnknownHyperparameter, UnknownKind
from alteraser.interactions import Interactions
from alteraser.kinds import kind
from alteraser.model import Parameters
from alteraser.train import train
from alteraser.wmf import Wmf, WmfHyperparameters
from tests.unit.alteraser.small_model import (
    GIVEN,
    as_vector,
    dense_gradient,
    dense_value,
    objective_over,
    random_parameters,
    small_data,
)

DATA = small_data()
H = Wmf().hyperparameters(GIVEN, DATA)


def test_the_objective_and_its_gradient_are_the_dense_ones() -> None:
    at = random_parameters(DATA)
    value, gradient = objective_over(DATA).value_and_gradient(at)
    expected = dense_gradient(DATA, H, at)
    assert value == pytest.approx(float(dense_value(DATA, H, at.users, at.items)), rel=1e-13)
    torch.testing.assert_close(as_vector(gradient), as_vector(expected), rtol=1e-11, atol=1e-11)


def test_the_l2_part_of_the_gradient_is_what_is_left_when_the_data_part_is_taken_away() -> None:
    at = random_parameters(DATA)
    all_of_it = as_vector(dense_gradient(DATA, H, at))
    data_part = as_vector(dense_gradient(DATA, {**H, "reg": 0.0}, at))
    assert objective_over(DATA).gradient_scale(at) == pytest.approx(float((all_of_it - data_part).norm()), rel=1e-12)


def test_a_solved_side_has_no_gradient_left_and_the_other_is_untouched() -> None:
    at = random_parameters(DATA)
    objective = objective_over(DATA)
    _, before = objective.value_and_gradient(at)
    solved = objective.solve_blocks(at, "users")
    _, gradient = objective.value_and_gradient(solved)
    assert float(gradient.users.norm()) < 1e-5 * float(before.users.norm())
    assert torch.equal(solved.items, at.items)


def test_solving_items_is_solving_users_of_the_transposed_data() -> None:
    at = random_parameters(DATA)
    solved = objective_over(DATA).solve_blocks(at, "items")
    _, gradient = objective_over(DATA).value_and_gradient(solved)
    assert float(gradient.items.norm()) < 1e-5 * float(gradient.users.norm())


def test_a_row_without_interactions_weighs_nothing() -> None:
    dropped = DATA.without(Deletions(subjects=frozenset([DATA.users.ids[4]])))
    emptied = dropped.over(DATA.users, dropped.items)
    at = random_parameters(emptied)
    at.users[4] = 0.0
    kept = Parameters(torch.cat([at.users[:4], at.users[5:]]), at.items, at.shared)
    with_row, _ = objective_over(emptied, H).value_and_gradient(at)
    without_row, _ = objective_over(dropped, H).value_and_gradient(kept)
    assert emptied.n_users == dropped.n_users + 1
    assert with_row == pytest.approx(without_row, rel=1e-14)


def test_rotating_both_factor_matrices_leaves_the_objective_as_it_is() -> None:
    at = random_parameters(DATA)
    W = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    R = torch.linalg.matrix_exp(W - W.T)
    objective = objective_over(DATA)
    value, _ = objective.value_and_gradient(at)
    rotated, _ = objective.value_and_gradient(Parameters(at.users @ R, at.items @ R, at.shared))
    assert rotated == pytest.approx(value, rel=1e-13)


def test_without_interactions_nothing_is_the_minimum() -> None:
    empty = Interactions.from_rows(DATA.users, DATA.items, np.zeros(0, np.int64), np.zeros(0, np.int64))
    at = random_parameters(empty)
    objective = objective_over(empty)
    solved = objective.solve_blocks(objective.solve_blocks(at, "users"), "items")
    assert not solved.users.any()
    assert not solved.items.any()


def test_a_certificate_is_made_from_the_parameters_and_the_interactions_alone() -> None:
    trained = train("wmf", GIVEN, DATA, seed=0)
    certified = Wmf().certify(trained.parameters, DATA, trained.hyperparameters)
    assert isinstance(certified, Certificate)
    # f(P, Q) is F(X) at a minimum: there the factors are balanced
    assert certified.objective == pytest.approx(trained.report.objective, rel=1e-12)


def test_a_distance_is_that_of_the_scores() -> None:
    before, after = random_parameters(DATA, seed=0), random_parameters(DATA, seed=1)
    expected = float((before.users @ before.items.T - after.users @ after.items.T).norm())
    assert Wmf().distance(before, after) == pytest.approx(expected, rel=1e-12)


def test_constants_are_fixed_at_training_and_defaults_filled_in() -> None:
    complete = Wmf().hyperparameters({"d": "8"}, DATA)
    assert complete == {**asdict(WmfHyperparameters()), "d": 8, "n_users_0": DATA.n_users, "n_items_0": DATA.n_items}


@pytest.mark.parametrize(
    ("name", "value"), [("d", 0), ("d", "many"), ("reg", -1.0), ("alpha0", "nan"), ("d", 2.5), ("saturate", 2)]
)
def test_a_hyperparameter_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidHyperparameter, match=name):
        Wmf().hyperparameters({name: value}, DATA)


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(UnknownHyperparameter, match="depth"):
        Wmf().hyperparameters({"depth": 3}, DATA)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownKind, match="magic"):
        kind("magic")
