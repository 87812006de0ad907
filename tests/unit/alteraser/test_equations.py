"""Newton's equations are the dense ones, and the preconditioner is nearly their inverse and always positive."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from alteraser.interactions import Interactions, Vocabulary
from alteraser.model import Hyperparameters, NewtonSystem, Parameters, silent
from alteraser.rotations import Rotations
from alteraser.train import CPU, alternate, train
from alteraser.wmf import Wmf
from tests.unit.alteraser.small_model import (
    GIVEN,
    as_vector,
    dense_gradient,
    dense_hessian,
    objective_over,
    random_parameters,
    small_data,
)

DATA = small_data()
H = Wmf().hyperparameters(GIVEN, DATA)


def equations_at(data: Interactions, at: Parameters, h: Hyperparameters | None = None) -> NewtonSystem:
    objective = objective_over(data, h)
    _, gradient = objective.value_and_gradient(at)
    return objective.linearise(at, gradient, None)


def preconditioner_of(system: NewtonSystem) -> Tensor:
    """The preconditioner as a dense matrix, float64."""
    return torch.stack([system.precondition(e) for e in torch.eye(len(system.right_hand_side))]).double()


def random_problem(seed: int) -> tuple[Interactions, Hyperparameters, Parameters]:
    """A problem of any shape, very uneven or very empty, at any stage of convergence; often with d too large."""
    generator = np.random.default_rng(seed)
    n, m = (int(size) for size in generator.integers(2, 14, 2))
    likely = np.outer(generator.random(n), generator.random(m)) ** generator.integers(0, 3)
    met = generator.random((n, m)) < likely * generator.random()
    users, items = (Vocabulary(tuple(str(row) for row in range(size))) for size in (n, m))
    data = Interactions.from_rows(users, items, *np.nonzero(met))
    given = {
        "d": int(generator.integers(1, 8)),
        "alpha0": float(generator.uniform(0.05, 1.0)),
        "reg": float(10 ** generator.uniform(-3, 0.4)),
        "init_scale": float(10 ** generator.uniform(-2, 0.5)),
    }
    h = Wmf().hyperparameters(given, data)
    start = Wmf().initialise(data, h, torch.Generator().manual_seed(seed))
    sweeps = int(generator.choice([0, 1, 10, 30]))
    return data, h, alternate(Wmf().objective(data, h, CPU), start, sweeps, silent)


@pytest.mark.parametrize("data", [DATA, small_data(n_users=30, n_items=40)], ids=["more users", "more items"])
def test_products_and_right_hand_side_are_the_dense_ones(data: Interactions) -> None:
    at = random_parameters(data)
    h = Wmf().hyperparameters(GIVEN, data)
    system = equations_at(data, at)
    hessian, gradient = dense_hessian(data, h, at), as_vector(dense_gradient(data, h, at))
    torch.testing.assert_close(system.right_hand_side.double(), -gradient, rtol=1e-4, atol=1e-4)
    for seed in range(3):
        v = torch.randn(len(hessian), generator=torch.Generator().manual_seed(seed))
        expected = hessian @ v.double()
        torch.testing.assert_close(system.multiply(v).double(), expected, rtol=1e-4, atol=1e-5 * float(expected.norm()))


def test_a_step_is_expanded_row_by_row() -> None:
    system = equations_at(DATA, random_parameters(DATA))
    v = torch.randn(len(system.right_hand_side), generator=torch.Generator().manual_seed(5))
    step = system.expand(v)
    assert step.users.dtype == torch.float64
    assert torch.equal(as_vector(step), v.double())
    assert step.shared.shape == (0,)


def test_equations_from_near_by_reuse_the_preconditioner_only() -> None:
    objective = objective_over(DATA)
    near, far = random_parameters(DATA, seed=0), random_parameters(DATA, seed=1)
    afresh = objective.linearise(near, objective.value_and_gradient(near)[1], None)
    gradient = objective.value_and_gradient(far)[1]
    reused = objective.linearise(far, gradient, afresh)
    own = objective.linearise(far, gradient, None)
    v = torch.randn(len(own.right_hand_side), generator=torch.Generator().manual_seed(5))
    assert torch.equal(reused.multiply(v), own.multiply(v))
    assert torch.equal(reused.right_hand_side, own.right_hand_side)
    assert not torch.allclose(reused.precondition(v), own.precondition(v), rtol=0.01)


@pytest.mark.parametrize("seed", range(40))
def test_the_preconditioner_is_symmetric_and_positive_where_nothing_rotates(seed: int) -> None:
    data, h, at = random_problem(seed)
    matrix = preconditioner_of(equations_at(data, at, h))
    largest = float(matrix.abs().max())
    assert np.isfinite(largest)
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-4 * largest)
    assert float(torch.linalg.eigvalsh(matrix + matrix.T)[0]) >= -1e-5 * largest


def test_it_is_positive_definite_on_all_that_is_no_rotation() -> None:
    at = train("wmf", GIVEN, DATA, seed=0).parameters
    matrix = preconditioner_of(equations_at(DATA, at))
    roots = torch.linalg.eigvalsh(matrix + matrix.T)
    d = at.users.shape[1]
    n_rotations = d * (d - 1) // 2
    assert float(roots[:n_rotations].abs().max()) < 1e-4 * float(roots[-1])
    assert float(roots[n_rotations]) > 1e-4 * float(roots[-1])


def test_at_a_minimum_the_coupling_leaves_little_for_conjugate_gradients_to_do() -> None:
    given = {"d": 8, "reg": 0.05, "saturate": 1}
    trained = train("wmf", given, DATA, seed=0)
    at, h = trained.parameters, trained.hyperparameters
    hessian, matrix = dense_hessian(DATA, h, at), preconditioner_of(equations_at(DATA, at, h))
    roots = torch.linalg.eigvals(matrix @ hessian).real.sort().values
    d = at.users.shape[1]
    kept = roots[d * (d - 1) // 2 :]
    same_row = torch.arange(len(hessian)) // d
    blocks = hessian * (same_row[:, None] == same_row[None, :])
    by_blocks = torch.linalg.eigvals(torch.linalg.solve(blocks, hessian)).real.sort().values[d * (d - 1) // 2 :]
    assert float(kept[-1] / kept[0]) < 0.5 * float(by_blocks[-1] / by_blocks[0])


def test_rotations_are_flat_at_a_minimum_and_left_out_of_every_direction() -> None:
    at = train("wmf", GIVEN, DATA, seed=0).parameters
    system = equations_at(DATA, at)
    W = torch.randn(6, 6, generator=torch.Generator().manual_seed(3))
    P, Q = at.users.float(), at.items.float()
    rotation = torch.cat([(P @ (W - W.T)).reshape(-1), (Q @ (W - W.T)).reshape(-1)])
    assert float(system.multiply(rotation).norm()) < 1e-3 * float(rotation.norm())
    assert float(system.precondition(rotation).norm()) < 1e-4 * float(rotation.norm())
    v = system.precondition(torch.randn(len(rotation), generator=torch.Generator().manual_seed(4)))
    V, U = v[: P.numel()].view_as(P), v[P.numel() :].view_as(Q)
    torch.testing.assert_close(Rotations(P, Q).remove(V, U), (V, U), rtol=0, atol=1e-4 * float(v.abs().max()))
