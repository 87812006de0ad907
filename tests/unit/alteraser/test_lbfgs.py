"""L-BFGS reaches the point Newton reaches, leaves saddles, and raises when it cannot converge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from alteraser.errors import NotConverged
from alteraser.lbfgs import lbfgs
from alteraser.minimise import refine
from alteraser.model import Parameters, Progress, silent
from alteraser.saddles import curvature_probe
from alteraser.solve import Stationary, newton
from alteraser.train import alternate
from tests.unit.alteraser import small_model, small_neumf
from tests.unit.alteraser.small_model import small_data

DATA = small_data(n_users=30, n_items=20, n_interactions=250)


def saddle() -> Parameters:
    """Factors of zero have no gradient: a stationary point in the rest, where the inner product says nothing."""
    objective = small_neumf.objective_over(DATA)
    at = small_neumf.random_parameters(DATA)
    at.users[:, : small_neumf.D] = at.items[:, : small_neumf.D] = 0.0
    scale = objective.gradient_scale(at)
    for _ in range(60):
        for side in objective.sides:
            at = objective.solve_blocks(at, side)
    _, gradient = objective.value_and_gradient(at)
    assert gradient.norm() < 0.05 * scale
    assert not at.users[:, : small_neumf.D].any()
    return at


def test_it_reaches_the_point_that_newton_reaches_with_the_neural_kind() -> None:
    objective = small_neumf.objective_over(DATA)
    start = alternate(objective, small_neumf.random_parameters(DATA), 6, silent)
    scale = objective.gradient_scale(start)
    by_newton = newton(objective, start, target=1e-7 * scale, scale=scale, watch=silent)
    by_lbfgs = lbfgs(objective, start, target=1e-7 * scale, scale=scale, watch=silent)
    assert by_lbfgs.objective == pytest.approx(by_newton.objective, rel=1e-11)
    assert by_lbfgs.gradient.norm() <= 1e-7 * scale
    assert by_lbfgs.least_curvature > 0


def test_it_reaches_the_point_that_newton_reaches_with_the_quadratic_kind() -> None:
    objective = small_model.objective_over(DATA)
    start = alternate(objective, small_model.random_parameters(DATA), 4, silent)
    scale = objective.gradient_scale(start)
    by_newton = newton(objective, start, target=1e-7 * scale, scale=scale, watch=silent)
    by_lbfgs = lbfgs(objective, start, target=1e-7 * scale, scale=scale, watch=silent)
    assert by_lbfgs.objective == pytest.approx(by_newton.objective, rel=1e-11)


@pytest.mark.parametrize("solver", [lbfgs, refine])
def test_a_saddle_is_left(solver: Callable[..., Stationary]) -> None:
    at = saddle()
    objective = small_neumf.objective_over(DATA)
    scale = objective.gradient_scale(at)
    value, gradient = objective.value_and_gradient(at)
    assert curvature_probe(objective.linearise(at, gradient, None), silent).least_curvature < 0
    found = solver(objective, at, target=1e-6 * scale, scale=scale, watch=silent)
    assert found.objective < value - 1.0
    assert found.least_curvature > 0
    assert float(found.parameters.users[:, : small_neumf.D].norm()) > 0.1


def test_what_does_not_converge_raises() -> None:
    objective = small_neumf.objective_over(DATA)
    with pytest.raises(NotConverged) as raised:
        lbfgs(objective, small_neumf.random_parameters(DATA), target=1e-30, scale=1.0, watch=silent)
    assert raised.value.phase == "lbfgs"
    assert raised.value.residual > 1e-30


def test_every_step_is_told_and_counted() -> None:
    told: list[Progress] = []
    objective = small_neumf.objective_over(DATA)
    start = alternate(objective, small_neumf.random_parameters(DATA), 6, silent)
    scale = objective.gradient_scale(start)
    found = lbfgs(objective, start, target=1e-4 * scale, scale=scale, watch=told.append)
    steps = [progress for progress in told if progress.phase == "lbfgs"]
    assert [progress.step for progress in steps] == list(range(found.outer + 1))
    assert steps[-1].residual == pytest.approx(found.gradient.norm() / scale)
    assert sum(progress.phase == "conjugate gradients" for progress in told) == found.inner


def test_it_keeps_nothing_between_two_runs() -> None:
    objective = small_neumf.objective_over(DATA)
    start = alternate(objective, small_neumf.random_parameters(DATA), 6, silent)
    scale = objective.gradient_scale(start)
    first, second = (lbfgs(objective, start, target=1e-2 * scale, scale=scale, watch=silent) for _ in range(2))
    assert torch.equal(first.parameters.flat(), second.parameters.flat())
