"""Sub-problems are solved exactly, and a typical one stands for all that are typical."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from alteraser.interactions import Csr
from alteraser.pattern import Pattern
from alteraser.subproblems import Subproblems, TypicalInverse
from alteraser.train import CPU
from tests.unit.alteraser.small_model import small_data

DATA = small_data()
ALPHA0, ALWAYS, PER_ENTRY = 0.4, 0.7, 0.05
SUBPROBLEMS = Subproblems(Pattern(DATA.by_user, DATA.n_items, CPU), ALPHA0, ALWAYS, PER_ENTRY)
ITEMS = torch.randn(DATA.n_items, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def matrix_of(row: int) -> Tensor:
    own = ITEMS[torch.from_numpy(DATA.by_user.row(row).astype("int64"))]
    return ALPHA0 * ITEMS.T @ ITEMS + own.T @ own + (ALWAYS + PER_ENTRY * len(own)) * torch.eye(4)


def test_every_row_is_solved_exactly() -> None:
    solved = SUBPROBLEMS.solve(ITEMS)
    for row in range(DATA.n_users):
        own = ITEMS[torch.from_numpy(DATA.by_user.row(row).astype("int64"))]
        expected = torch.linalg.solve(matrix_of(row), own.sum(dim=0))
        torch.testing.assert_close(solved[row], expected, rtol=1e-4, atol=1e-5)


def test_the_typical_inverse_is_exact_for_a_pencil() -> None:
    generator = torch.Generator().manual_seed(2)
    A, B = torch.randn(2, 4, 4, dtype=torch.float64, generator=generator)
    M0, M1 = A @ A.T + torch.eye(4), B @ B.T + torch.eye(4)
    counts = torch.tensor([0.0, 3.0, 50.0], dtype=torch.float64)
    vectors = torch.randn(3, 4, dtype=torch.float64, generator=generator)
    found = TypicalInverse.of(M0, M1, counts)
    expected = torch.stack([torch.linalg.solve(M0 + n * M1, x) for n, x in zip(counts, vectors, strict=True)])
    torch.testing.assert_close(found.times(vectors.float()).double(), expected, rtol=1e-4, atol=1e-5)
    rows = torch.tensor([2, 0])
    torch.testing.assert_close(found.times(vectors[rows].float(), rows).double(), expected[rows], rtol=1e-4, atol=1e-5)


def test_where_all_rows_meet_all_columns_the_typical_row_is_every_row() -> None:
    n, m = 3, DATA.n_items
    full = Csr(np.arange(n + 1, dtype=np.int64) * m, np.tile(np.arange(m, dtype=np.int32), n))
    typical = Subproblems(Pattern(full, m, CPU), ALPHA0, ALWAYS, PER_ENTRY).typical(ITEMS)
    matrix = (1 + ALPHA0) * ITEMS.T @ ITEMS + (ALWAYS + PER_ENTRY * m) * torch.eye(4)
    inverse = torch.stack([typical.times(e.expand(n, 4).contiguous()) for e in torch.eye(4)], dim=1)  # (n, 4, 4)
    torch.testing.assert_close(inverse.double(), torch.linalg.inv(matrix).expand(n, 4, 4), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n", [0, 3])
def test_rows_without_entries_have_the_matrix_that_all_rows_share(n: int) -> None:
    empty = Csr(np.zeros(n + 1, dtype=np.int64), np.zeros(0, dtype=np.int32))
    subproblems = Subproblems(Pattern(empty, DATA.n_items, CPU), ALPHA0, ALWAYS, PER_ENTRY)
    vectors = torch.randn(n, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    expected = torch.linalg.solve(ALPHA0 * ITEMS.T @ ITEMS + ALWAYS * torch.eye(4), vectors.T).T
    found = subproblems.typical(ITEMS).times(vectors.float()).double()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert not subproblems.solve(ITEMS).any()
