"""Leading singular triplets equal a dense decomposition's, whatever the matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alteraser.triplets import Triplets, leading_triplets


class Dense:
    """A matrix that is there."""

    def __init__(self, matrix: Tensor) -> None:
        self._matrix = matrix

    def times(self, right: Tensor) -> Tensor:
        return self._matrix @ right

    def transposed_times(self, left: Tensor) -> Tensor:
        return self._matrix.T @ left


def with_values(n: int, m: int, values: Tensor) -> Tensor:
    """A matrix (n, m) of those singular values."""
    generator = torch.Generator().manual_seed(0)
    U, V = (torch.linalg.qr(torch.randn(size, len(values), generator=generator))[0] for size in (n, m))
    matrix: Tensor = U * values @ V.T
    return matrix


def found_in(matrix: Tensor, rank: int = 8, width: int = 4, steps: int = 8) -> Triplets:
    n, m = matrix.shape
    found = leading_triplets(Dense(matrix), m, matrix, rank=rank, width=width, steps=steps)
    r = len(found.values)
    assert r <= rank
    assert found.users.shape == (n, r)
    assert found.items.shape == (m, r)
    assert (found.values.diff() <= 0).all()
    for side in (found.users, found.items):
        torch.testing.assert_close(side.T @ side, torch.eye(r), rtol=0, atol=1e-3)
    return found


@pytest.mark.parametrize(("n", "m"), [(80, 60), (60, 80)])
def test_the_leading_triplets_are_a_dense_decompositions(n: int, m: int) -> None:
    values = 0.85 ** torch.arange(50)
    matrix = with_values(n, m, values)
    found = found_in(matrix)
    torch.testing.assert_close(found.values, values[:8], rtol=1e-3, atol=0)
    best = torch.linalg.svd(matrix, full_matrices=False)
    closest = best.U[:, :8] * best.S[:8] @ best.Vh[:8]
    torch.testing.assert_close(found.users * found.values @ found.items.T, closest, rtol=0, atol=1e-2)


def test_values_are_never_above_the_true_ones() -> None:
    matrix = torch.randn(70, 90, generator=torch.Generator().manual_seed(4))  # no gaps: hard to tell apart
    found = found_in(matrix, rank=16, width=4, steps=5)
    true = torch.linalg.svdvals(matrix)[: len(found.values)]
    assert (found.values <= true * (1 + 1e-5)).all()
    assert float(found.values[0]) > 0.98 * float(true[0])


@pytest.mark.parametrize(
    ("n", "m", "rank"), [(30, 20, 3), (30, 20, 1), (7, 5, 2), (5, 7, 2), (1, 9, 1), (9, 1, 1), (1, 1, 1)]
)
def test_a_matrix_of_low_rank_is_found_whole(n: int, m: int, rank: int) -> None:
    matrix = with_values(n, m, torch.linspace(2.0, 1.0, rank))
    found = found_in(matrix)
    assert len(found.values) == rank
    torch.testing.assert_close(found.users * found.values @ found.items.T, matrix, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [0.0, 1e-15, 1e-25, 1e-40])
def test_nothing_or_next_to_nothing_does_no_harm(size: float) -> None:
    matrix = size * torch.randn(12, 10, generator=torch.Generator().manual_seed(4))
    found = leading_triplets(Dense(matrix), 10, matrix, rank=8, width=4, steps=8)
    for part in (found.users, found.values, found.items):
        assert torch.isfinite(part).all()
    assert (found.values <= 100 * size).all()
    if not size:
        assert len(found.values) == 0


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 4), (4, 0)])
def test_an_empty_matrix_has_no_triplets(n: int, m: int) -> None:
    assert len(found_in(torch.zeros(n, m)).values) == 0


def test_the_same_matrix_gives_the_same_triplets() -> None:
    matrix = torch.randn(30, 40, generator=torch.Generator().manual_seed(4))
    assert torch.equal(found_in(matrix).users, found_in(matrix).users)
