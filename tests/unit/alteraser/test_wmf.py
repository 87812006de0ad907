"""The objective, its gradient, its Hessian and its sub-problems equal a slow dense reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hvp

from alteraser.deletions import Deletions
from alteraser.errors import InvalidHyperparameter, UnknownHyperparameter, UnknownKind
from alteraser.kinds import kind
from alteraser.model import Parameters
from alteraser.rotations import Rotations
from alteraser.subproblems import TypicalInverse
from alteraser.wmf import Wmf
from tests.unit.alteraser.small_model import GIVEN, dense_value, objective_over, random_parameters, small_data

DATA = small_data()
H = Wmf().hyperparameters(GIVEN, DATA)


def dense_of_vector(v: Tensor) -> Tensor:
    split = DATA.n_users * GIVEN_D
    return dense_value(DATA, H, v[:split].view(-1, GIVEN_D), v[split:].view(-1, GIVEN_D))


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


def test_the_product_with_the_hessian_is_the_dense_one() -> None:
    at = random_parameters(DATA)
    direction = torch.randn(as_vector(at).shape, generator=torch.Generator().manual_seed(5))
    _, expected = hvp(dense_of_vector, as_vector(at), direction.double())  # type: ignore[no-untyped-call]
    product = objective_over(DATA).linearise(at).multiply(direction)
    torch.testing.assert_close(product.double(), expected, rtol=1e-4, atol=1e-4 * float(expected.norm()) / 20)


def test_the_l2_part_of_the_gradient_is_what_is_left_when_the_data_part_is_taken_away() -> None:
    at = random_parameters(DATA)
    v = as_vector(at).requires_grad_()
    no_l2 = {**H, "reg": 0.0}
    data_part = dense_value(
        DATA, no_l2, v[: at.users.numel()].view(-1, GIVEN_D), v[at.users.numel() :].view(-1, GIVEN_D)
    )
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
    erased = DATA.users.ids[4]
    pairs = frozenset((erased, item) for item in DATA.items_of(erased))
    emptied, dropped = (
        DATA.without(Deletions(pairs=pairs)),
        DATA.without(Deletions(subjects=frozenset([erased]))),
    )
    at = random_parameters(DATA)
    at.users[4] = 0.0
    kept = Parameters(torch.cat([at.users[:4], at.users[5:]]), at.items, at.shared)
    with_row, _ = objective_over(emptied, H).value_and_gradient(at)
    without_row, _ = objective_over(dropped, H).value_and_gradient(kept)
    assert with_row == pytest.approx(without_row, rel=1e-14)


def test_rotating_both_factor_matrices_changes_neither_the_objective_nor_meets_the_gradient() -> None:
    at = random_parameters(DATA)
    W = torch.randn(GIVEN_D, GIVEN_D, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    R = torch.linalg.matrix_exp(W - W.T)
    objective = objective_over(DATA)
    value, gradient = objective.value_and_gradient(at)
    rotated, _ = objective.value_and_gradient(Parameters(at.users @ R, at.items @ R, at.shared))
    assert rotated == pytest.approx(value, rel=1e-13)
    rotations = Rotations(at.users.float(), at.items.float())
    U, V = rotations.remove(gradient.users.float(), gradient.items.float())
    torch.testing.assert_close(U.double(), gradient.users, rtol=0, atol=1e-5 * gradient.norm())
    torch.testing.assert_close(V.double(), gradient.items, rtol=0, atol=1e-5 * gradient.norm())


def test_a_rotation_is_removed_entirely() -> None:
    at = random_parameters(DATA)
    W = torch.randn(GIVEN_D, GIVEN_D, generator=torch.Generator().manual_seed(3))
    P, Q = at.users.float(), at.items.float()
    U, V = Rotations(P, Q).remove(P @ (W - W.T), Q @ (W - W.T))
    assert float(U.norm() + V.norm()) < 1e-4 * float((P @ (W - W.T)).norm())


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
