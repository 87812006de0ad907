"""Joint rotations of both factor matrices are taken out of a direction, and nothing else is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alteraser.rotations import Rotations

SHAPES = [(9, 7, 4), (2, 3, 6), (5, 1, 1)]


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def antisymmetric(d: int) -> Tensor:
    W = randn(d, d, seed=3)
    return W - W.T


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
def test_a_rotation_is_removed_and_what_is_orthogonal_to_all_of_them_stays(n: int, m: int, d: int) -> None:
    P, Q, V, W = randn(n, d, seed=0), randn(m, d, seed=1), randn(n, d, seed=4), randn(m, d, seed=5)
    rotations = Rotations(P, Q)
    once = rotations.remove(V, W)
    again = rotations.remove(*once)
    turned = rotations.remove(V + P @ antisymmetric(d), W + Q @ antisymmetric(d))
    for found in (again, turned):
        torch.testing.assert_close(found, once, rtol=0, atol=1e-4)
    inner = P.T @ once[0] + Q.T @ once[1]
    torch.testing.assert_close(inner, inner.T, rtol=0, atol=1e-4)


@pytest.mark.parametrize("least", [1e-3, 1e-5, 1e-7, 0.0])
def test_the_projection_is_symmetric_though_some_dimensions_hold_next_to_nothing(least: float) -> None:
    P, Q = randn(9, 5, seed=0), randn(7, 5, seed=1)
    shrunk = torch.tensor([1.0, 1.0, 1.0, least, least])
    turn, _ = torch.linalg.qr(randn(5, 5, seed=2))
    rotations = Rotations(P * shrunk @ turn, Q * shrunk @ turn)

    def projected(v: Tensor) -> Tensor:
        found = rotations.remove(v[:45].view(9, 5), v[45:].view(7, 5))
        return torch.cat([side.reshape(-1) for side in found])

    matrix = torch.stack([projected(v) for v in torch.eye(80)])
    torch.testing.assert_close(matrix, matrix.T, rtol=0, atol=1e-4)
    torch.testing.assert_close(matrix @ matrix, matrix, rtol=0, atol=1e-4)


def test_nothing_is_removed_where_there_is_nothing_to_rotate() -> None:
    V, W = randn(3, 2, seed=4), randn(4, 2, seed=5)
    for size in (0.0, 1e-40):
        found = Rotations(torch.full((3, 2), size), torch.full((4, 2), size)).remove(V, W)
        assert torch.isfinite(found[0]).all()
        assert torch.isfinite(found[1]).all()
    torch.testing.assert_close(Rotations(torch.zeros(3, 2), torch.zeros(4, 2)).remove(V, W), (V, W))
