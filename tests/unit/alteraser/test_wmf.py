"""The objective, its gradient, its Hessian and its sub-problems equal a slow dense reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian

from alteraser.deletions import Deletions
from alteraser.errors import InvalidHyperparameter, UnknownHyperparameter, UnknownKind
from alteraser.interactions import Interactions
from alteraser.inverse import inverses
from alteraser.kinds import kind
from alteraser.model import Parameters
from alteraser.rotations import Rotations
from alteraser.subproblems import TypicalInverse
from alteraser.train import train
from alteraser.wmf import Wmf
from tests.unit.alteraser.small_model import GIVEN, dense_value, objective_over, random_parameters, small_data

DATA = small_data()
H = Wmf().hyperparameters(GIVEN, DATA)


def dense_of_vector(v: Tensor) -> Tensor:
    return dense_value(DATA, H, *as_factors(DATA, v))


def as_factors(data: Interactions, v: Tensor) -> tuple[Tensor, Tensor]:
    split = data.n_users * GIVEN_D
    return v[:split].view(-1, GIVEN_D), v[split:].view(-1, GIVEN_D)


GIVEN_D = int(GIVEN["d"])


def as_vector(at: Parameters) -> Tensor:
    return torch.cat([at.users.reshape(-1), at.items.reshape(-1)])


def test_the_objective_and_its_gradient_are_the_dense_ones() -> None:
    at = random_parameters(DATA)
    v = as_vector(at).requires_grad_()
    expected = dense_of_vector(v)
    (expected_gradient,) = torch.autograd.grad(expected, v)
    value, gradient = objective_over(DATA).value_and_gradient(at)
    assert value == pytest.approx(float(expected.detach()), rel=1e-13)
    torch.testing.assert_close(as_vector(gradient), expected_gradient, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("data", [DATA, small_data(n_users=30, n_items=40)], ids=["more users", "more items"])
def test_the_newton_equations_are_the_dense_ones_with_the_smaller_side_eliminated(data: Interactions) -> None:
    at = random_parameters(data)
    objective = objective_over(data)
    _, gradient = objective.value_and_gradient(at)
    system = objective.linearise(at, gradient, None)

    def value(v: Tensor) -> Tensor:
        return dense_value(data, Wmf().hyperparameters(GIVEN, data), *as_factors(data, v))

    full = hessian(value, as_vector(at))  # type: ignore[no-untyped-call]
    users = torch.arange(data.n_users * GIVEN_D)
    items = torch.arange(len(users), len(full))
    e, k = (users, items) if len(users) <= len(items) else (items, users)
    pull = full[k][:, e] @ torch.linalg.inv(full[e][:, e])
    schur = full[k][:, k] - pull @ full[e][:, k]
    g = as_vector(gradient)
    v = torch.randn(len(k), generator=torch.Generator().manual_seed(5))
    product = system.multiply(v).double()
    torch.testing.assert_close(product, schur @ v.double(), rtol=1e-3, atol=1e-4 * float(schur.norm()))
    torch.testing.assert_close(system.right_hand_side.double(), pull @ g[e] - g[k], rtol=1e-3, atol=1e-3)
    assert system.eliminated_decrease == pytest.approx(
        float(0.5 * g[e] @ torch.linalg.solve(full[e][:, e], g[e])), 1e-4
    )
    step = as_vector(system.expand(torch.linalg.solve(schur, pull @ g[e] - g[k]).float()))
    torch.testing.assert_close(full @ step, -g, rtol=0, atol=1e-3 * float(g.norm()))


def test_equations_from_near_by_reuse_only_what_is_costly() -> None:
    at = random_parameters(DATA)
    objective = objective_over(DATA)
    _, gradient = objective.value_and_gradient(at)
    afresh = objective.linearise(at, gradient, None)
    reused = objective.linearise(at, gradient, afresh)
    v = torch.randn_like(afresh.right_hand_side)
    torch.testing.assert_close(reused.multiply(v), afresh.multiply(v))


@pytest.mark.parametrize("d", [1, 7, 16, 33, 64])
def test_inverses_by_halving_are_inverses(d: int) -> None:
    X = torch.randn(5, d, 2 * d, dtype=torch.float64, generator=torch.Generator().manual_seed(d))
    matrices = X @ X.mT / d + torch.eye(d)
    torch.testing.assert_close(inverses(matrices) @ matrices, torch.eye(d, dtype=torch.float64).expand(5, d, d))


def test_the_l2_part_of_the_gradient_is_what_is_left_when_the_data_part_is_taken_away() -> None:
    at = random_parameters(DATA)
    v = as_vector(at).requires_grad_()
    no_l2 = {**H, "reg": 0.0}
    data_part = dense_value(DATA, no_l2, *as_factors(DATA, v))
    (gradient,) = torch.autograd.grad(dense_of_vector(v) - data_part, v)
    assert objective_over(DATA).gradient_scale(at) == pytest.approx(float(gradient.norm()), rel=1e-12)


@pytest.mark.parametrize("rows", [None, np.array([7]), np.array([2, 11, 30])])
def test_a_solved_block_has_no_gradient_left_and_the_others_are_untouched(rows: np.ndarray | None) -> None:
    at = random_parameters(DATA)
    objective = objective_over(DATA)
    _, before = objective.value_and_gradient(at)
    solved = objective.solve_blocks(at, "users", rows)
    _, gradient = objective.value_and_gradient(solved)
    chosen = np.arange(DATA.n_users) if rows is None else rows
    others = np.setdiff1d(np.arange(DATA.n_users), chosen)
    assert float(gradient.users[chosen].norm()) < 1e-5 * float(before.users[chosen].norm())
    assert torch.equal(solved.users[others], at.users[others])
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
    R = torch.linalg.matrix_exp(antisymmetric(torch.float64))
    objective = objective_over(DATA)
    value, _ = objective.value_and_gradient(at)
    rotated, _ = objective.value_and_gradient(Parameters(at.users @ R, at.items @ R, at.shared))
    assert rotated == pytest.approx(value, rel=1e-13)


def test_rotations_are_flat_at_a_minimum_and_left_out_of_every_direction() -> None:
    trained = train("wmf", GIVEN, DATA, seed=0).parameters
    objective = objective_over(DATA)
    _, gradient = objective.value_and_gradient(trained)
    system = objective.linearise(trained, gradient, None)
    rotation = (trained.users.float() @ antisymmetric(torch.float32)).reshape(-1)
    assert float(system.multiply(rotation).norm()) < 1e-3 * float(rotation.norm())
    assert float(system.precondition(rotation).norm()) < 1e-4 * float(rotation.norm())


def test_only_rotations_are_removed() -> None:
    at = random_parameters(DATA)
    K, V = at.users.float(), torch.randn(DATA.n_users, GIVEN_D, generator=torch.Generator().manual_seed(8))
    rotations = Rotations(K)
    once = rotations.remove(V)
    torch.testing.assert_close(rotations.remove(once), once, rtol=0, atol=1e-5)
    torch.testing.assert_close(rotations.remove(V + K @ antisymmetric(torch.float32)), once, rtol=0, atol=1e-4)
    torch.testing.assert_close(K.T @ once, (K.T @ once).T, rtol=0, atol=1e-4)  # orthogonal to every rotation


def antisymmetric(dtype: torch.dtype) -> Tensor:
    W = torch.randn(GIVEN_D, GIVEN_D, dtype=dtype, generator=torch.Generator().manual_seed(3))
    return W - W.T


def test_the_typical_inverse_is_exact_for_a_pencil() -> None:
    generator = torch.Generator().manual_seed(2)
    A, B = torch.randn(2, 4, 4, dtype=torch.float64, generator=generator)
    M0, M1 = A @ A.T + torch.eye(4), B @ B.T + torch.eye(4)
    counts = torch.tensor([0.0, 3.0, 50.0], dtype=torch.float64)
    vectors = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    found = TypicalInverse.of(M0, M1, counts).times(vectors.float())
    expected = torch.stack([torch.linalg.solve(M0 + n * M1, x) for n, x in zip(counts, vectors, strict=True)])
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_constants_are_fixed_at_training_and_defaults_filled_in() -> None:
    assert Wmf().hyperparameters({"d": "8"}, DATA) == {
        "d": 8,
        "alpha0": 0.4,
        "reg": 0.008,
        "init_scale": 0.1,
        "n_users_0": DATA.n_users,
        "n_items_0": DATA.n_items,
    }


@pytest.mark.parametrize(("name", "value"), [("d", 0), ("d", "many"), ("reg", -1.0), ("alpha0", "nan"), ("d", 2.5)])
def test_a_hyperparameter_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidHyperparameter, match=name):
        Wmf().hyperparameters({name: value}, DATA)


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(UnknownHyperparameter, match="depth"):
        Wmf().hyperparameters({"depth": 3}, DATA)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UnknownKind, match="magic"):
        kind("magic")
