"""Newton reaches stationarity from anywhere, tells how, and raises when it cannot."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alteraser.errors import NotConverged
from alteraser.model import Parameters, Progress, silent
from alteraser.solve import conjugate_gradients, newton
from alteraser.train import train
from tests.unit.alteraser.small_model import GIVEN, objective_over, random_parameters, small_data

DATA = small_data()


class Diagonal:
    """The Newton equations of a diagonal Hessian, without a preconditioner."""

    def __init__(self, diagonal: list[float], right_hand_side: list[float]) -> None:
        self._diagonal = torch.tensor(diagonal)
        self.right_hand_side = torch.tensor(right_hand_side)

    def multiply(self, v: Tensor) -> Tensor:
        return self._diagonal * v

    def precondition(self, r: Tensor) -> Tensor:
        return r.clone()

    def expand(self, v: Tensor) -> Parameters:
        return Parameters(v.double()[None], torch.zeros(0, 1).double(), torch.zeros(0).double())


ANYWHERE = float("inf")


def test_conjugate_gradients_solve_a_quadratic() -> None:
    system = Diagonal([1.0, 2.0], [3.0, 3.0])
    step = conjugate_gradients(system, ANYWHERE, enough=0.0, watch=silent)
    torch.testing.assert_close(step.v, torch.tensor([3.0, 1.5]), rtol=0.1, atol=0.1)
    v = step.v.double()
    assert step.decrease == pytest.approx(float((3 * v).sum() - 0.5 * (torch.tensor([1.0, 2.0]) * v * v).sum()))
    assert not step.bounded


def test_conjugate_gradients_stop_where_the_residual_is_small_enough() -> None:
    system = Diagonal([1.0, 2.0], [3.0, 3.0])
    assert conjugate_gradients(system, ANYWHERE, enough=2.0, watch=silent).iterations == 1


def test_a_step_ends_at_the_trust_region() -> None:
    step = conjugate_gradients(Diagonal([1.0, 2.0], [3.0, 3.0]), radius=0.5, enough=0.0, watch=silent)
    assert step.bounded
    assert float(step.v.norm()) == pytest.approx(0.5)


def test_negative_curvature_is_followed_to_the_boundary() -> None:
    step = conjugate_gradients(Diagonal([1.0, -1.0], [0.1, 3.0]), radius=10.0, enough=0.0, watch=silent)
    assert step.bounded
    assert step.least_curvature < 0
    assert float(step.v.norm()) == pytest.approx(10.0, rel=1e-5)
    assert step.decrease > 50


@pytest.mark.parametrize("size", [1e-6, 1.0, 30.0])
def test_newton_reaches_the_same_minimum_from_near_the_saddle_and_from_far_off(size: float) -> None:
    start = random_parameters(DATA, seed=3)
    start = Parameters(size * start.users, size * start.items, start.shared)
    objective = objective_over(DATA)
    trained = train("wmf", GIVEN, DATA, seed=11)
    scale = objective.gradient_scale(trained.parameters)
    found = newton(objective, start, target=1e-9 * scale, scale=scale, watch=silent)
    assert found.objective == pytest.approx(trained.report.objective, rel=1e-12)
    assert found.gradient.norm() <= 1e-9 * scale
    assert found.least_curvature > 0


def test_newton_raises_rather_than_return_what_has_not_converged() -> None:
    start = random_parameters(DATA)
    with pytest.raises(NotConverged) as raised:
        newton(objective_over(DATA), start, target=1e-30, scale=1.0, watch=silent)
    assert raised.value.phase == "newton"
    assert 1e-30 < raised.value.residual < 1e-6


def test_every_step_is_told() -> None:
    told: list[Progress] = []
    trained = train("wmf", GIVEN, DATA, seed=0, sweeps=3, watch=told.append)
    assert [progress.step for progress in told if progress.phase == "sweep"] == [1, 2, 3]
    residuals = [progress.residual for progress in told if progress.phase == "newton"]
    assert residuals[-1] == pytest.approx(trained.report.residual)
    assert sum(progress.phase == "conjugate gradients" for progress in told) == trained.report.inner


def test_training_is_reproducible_from_its_seed() -> None:
    first, second = (train("wmf", GIVEN, DATA, seed=4).parameters for _ in range(2))
    torch.testing.assert_close(first.users, second.users, rtol=0, atol=1e-9)
