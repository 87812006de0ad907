"""The neural objective, its gradient, its Hessian and its blocks equal a slow dense reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

from alteraser.deletions import Deletions
from alteraser.errors import InvalidHyperparameter, UnknownHyperparameter
from alteraser.kinds import kind
from alteraser.model import Parameters, Side
from alteraser.neumf import Neumf
from alteraser.neural_equations import NeuralEquations
from tests.unit.alteraser.small_model import small_data
from tests.unit.alteraser.small_neumf import (
    GIVEN,
    D,
    counted,
    dense_scores,
    dense_value,
    objective_over,
    random_parameters,
    reg_of_weights,
)

DATA = small_data(n_users=14, n_items=11, n_interactions=60)
H = Neumf().hyperparameters(GIVEN, DATA)
AT = random_parameters(DATA)


def value_of(flat: Tensor) -> Tensor:
    return dense_value(DATA, H, AT.shaped(flat))


def equations() -> NeuralEquations:
    objective = objective_over(DATA)
    _, gradient = objective.value_and_gradient(AT)
    found = objective.linearise(AT, gradient, None)
    assert isinstance(found, NeuralEquations)
    return found


def dense_gauss_newton() -> Tensor:
    """J^T diag(curvature) J over all pairs plus the L2 part, (m, m)."""
    J = jacobian(lambda flat: dense_scores(AT.shaped(flat)).reshape(-1), AT.flat())  # type: ignore[no-untyped-call]
    share = torch.sigmoid(dense_scores(AT)).reshape(-1)
    curvature = sum(counted(DATA, H)).reshape(-1) * share * (1 - share)  # type: ignore[union-attr]
    found: Tensor = (J.T * curvature) @ J
    counts = [torch.from_numpy(csr.counts) for csr in (DATA.by_user, DATA.by_item)]
    l2 = [(float(H["reg"]) * n + float(H["reg_row"])).repeat_interleave(2 * D + 1) for n in counts]
    of_weights = torch.full_like(AT.shared, reg_of_weights(H))
    of_weights[-1] = float(H["reg_row"])
    return found + torch.diag(torch.cat([*l2, of_weights]))


def test_the_objective_and_its_gradient_are_the_dense_ones() -> None:
    value, gradient = objective_over(DATA).value_and_gradient(AT)
    flat = AT.flat().requires_grad_()
    expected = value_of(flat)
    (of_flat,) = torch.autograd.grad(expected, flat)
    assert value == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(gradient.flat(), of_flat, rtol=1e-10, atol=1e-10)


def test_hessian_products_are_those_of_the_dense_hessian() -> None:
    dense: Tensor = hessian(value_of, AT.flat())  # type: ignore[no-untyped-call]
    v = torch.randn(len(dense), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(equations().multiply(v).double(), dense @ v.double(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("side", "start"), [("users", 0), ("items", 14)])
def test_row_blocks_are_those_of_the_dense_gauss_newton_matrix(side: Side, start: int) -> None:
    dense, width = dense_gauss_newton(), 2 * D + 1
    rows: Tensor = AT.users if side == "users" else AT.items
    r = torch.randn(rows.shape, generator=torch.Generator().manual_seed(2))
    blocks = [dense[k : k + width, k : k + width] for k in range(start * width, (start + len(rows)) * width, width)]
    expected = torch.linalg.solve(torch.stack(blocks), r.double())
    torch.testing.assert_close(equations().blocks.solve(side, r).double(), expected, rtol=1e-3, atol=1e-4)


def test_the_weights_block_is_that_of_the_dense_gauss_newton_matrix() -> None:
    n = len(AT.shared)
    r = torch.randn(n, generator=torch.Generator().manual_seed(3))
    expected = torch.linalg.solve(dense_gauss_newton()[-n:, -n:], r.double())
    torch.testing.assert_close(equations().blocks.solve("shared", r).double(), expected, rtol=1e-3, atol=1e-4)


def test_the_preconditioner_is_symmetric_and_blind_to_joint_rotations_of_the_factors() -> None:
    system = equations()
    eye = torch.eye(len(AT.flat()))
    dense = torch.stack([system.precondition(column) for column in eye])
    torch.testing.assert_close(dense, dense.T, rtol=1e-3, atol=1e-5)
    turn = torch.randn(D, D, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    turn = turn - turn.T
    rotation = Parameters(torch.zeros_like(AT.users), torch.zeros_like(AT.items), torch.zeros_like(AT.shared))
    rotation.users[:, :D] = AT.users[:, :D] @ turn
    rotation.items[:, :D] = AT.items[:, :D] @ turn
    along = rotation.flat().float()
    assert float(system.precondition(along).norm()) < 1e-4 * float(along.norm())


def test_rotating_both_factor_matrices_leaves_the_objective_as_it_is() -> None:
    W = torch.randn(D, D, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    R = torch.linalg.matrix_exp(W - W.T)
    turned = Parameters(AT.users.clone(), AT.items.clone(), AT.shared)
    turned.users[:, :D] @= R
    turned.items[:, :D] @= R
    objective = objective_over(DATA)
    assert objective.value_and_gradient(turned)[0] == pytest.approx(objective.value_and_gradient(AT)[0], rel=1e-13)


@pytest.mark.parametrize("side", ["users", "items", "shared"])
def test_solving_a_side_lowers_the_objective_and_moves_nothing_else(side: Side) -> None:
    objective = objective_over(DATA)
    solved = objective.solve_blocks(AT, side)
    assert objective.value_and_gradient(solved)[0] < objective.value_and_gradient(AT)[0]
    for name in {"users", "items", "shared"} - {side}:
        torch.testing.assert_close(getattr(solved, name), getattr(AT, name), rtol=1e-6, atol=1e-7)


def test_a_row_without_interactions_has_only_its_l2_and_the_negatives_that_point_to_it() -> None:
    dropped = DATA.without(Deletions(subjects=frozenset([DATA.users.ids[4]])))
    emptied = dropped.over(DATA.users, dropped.items)
    items = AT.items[torch.from_numpy(DATA.items.rows(dropped.items.ids))]
    users = AT.users.clone()
    users[4] = 0.0
    with_row, _ = objective_over(emptied, H).value_and_gradient(Parameters(users, items, AT.shared))
    kept = Parameters(torch.cat([users[:4], users[5:]]), items, AT.shared)
    without_row, _ = objective_over(dropped, H).value_and_gradient(kept)
    assert with_row == pytest.approx(without_row, rel=1e-14)


def test_scores_are_the_networks_outputs_for_every_item() -> None:
    rows = np.array([5, 0, 9])
    expected = dense_scores(AT)[torch.from_numpy(rows)]
    torch.testing.assert_close(torch.from_numpy(Neumf().scores(AT, rows)), expected, rtol=1e-12, atol=1e-12)


def test_a_distance_is_that_of_the_scores_and_an_estimate_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = random_parameters(DATA, seed=1)
    expected = float((dense_scores(AT) - dense_scores(other)).norm())
    assert Neumf().distance(AT, other) == pytest.approx(expected, rel=1e-12)
    monkeypatch.setattr("alteraser.score_distance.MOST_PAIRS", 7 * DATA.n_items)
    assert Neumf().distance(AT, other) == pytest.approx(expected, rel=0.5)


@pytest.mark.parametrize("kept", [0, 1, 64])
def test_products_do_not_depend_on_what_is_kept_between_them(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    v = torch.randn(len(AT.flat()), generator=torch.Generator().manual_seed(1))
    whole = equations().multiply(v)
    monkeypatch.setattr("alteraser.terms.CHUNK", 8)
    monkeypatch.setattr("alteraser.neural_equations.KEPT_CHUNKS", kept)
    system = equations()
    for _ in range(2):
        torch.testing.assert_close(system.multiply(v), whole, rtol=1e-4, atol=1e-4)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole_value, whole = objective_over(DATA).value_and_gradient(AT)
    monkeypatch.setattr("alteraser.terms.CHUNK", 8)
    value, gradient = objective_over(DATA).value_and_gradient(AT)
    assert value == pytest.approx(whole_value, rel=1e-14)
    torch.testing.assert_close(gradient.flat(), whole.flat(), rtol=1e-11, atol=1e-11)


def test_nothing_is_proven_of_a_neural_model() -> None:
    assert kind("neumf").certify(AT, DATA, H) is None


def test_constants_are_fixed_at_training_and_defaults_filled_in() -> None:
    complete = Neumf().hyperparameters({"d": "8"}, DATA)
    assert (complete["d"], complete["n_items_0"]) == (8, DATA.n_items)


@pytest.mark.parametrize(("name", "value"), [("d", 0), ("d", "many"), ("reg", -1.0), ("negatives", 1.5)])
def test_a_hyperparameter_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidHyperparameter, match=name):
        Neumf().hyperparameters({name: value}, DATA)


def test_an_unknown_hyperparameter_is_refused() -> None:
    with pytest.raises(UnknownHyperparameter, match="depth"):
        Neumf().hyperparameters({"depth": 3}, DATA)
