"""Products over the pairs that are there equal their dense counterparts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alteraser.interactions import Csr
from alteraser.pattern import Pattern, gram_matrices, with_zero_row
from alteraser.train import CPU
from tests.unit.alteraser.small_model import small_data

DATA = small_data()
PATTERN = Pattern(DATA.by_user, DATA.n_items, CPU)
ROW_OF_ENTRY = np.repeat(np.arange(DATA.n_users), DATA.by_user.counts)


@pytest.fixture
def factors() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    P = torch.randn(DATA.n_users, 5, dtype=torch.float64, generator=generator)
    return P, torch.randn(DATA.n_items, 5, dtype=torch.float64, generator=generator)


def test_a_sample_is_the_dense_product_at_the_entries(factors: tuple[torch.Tensor, torch.Tensor]) -> None:
    P, Q = factors
    torch.testing.assert_close(PATTERN.sample(P, Q), (P @ Q.T)[ROW_OF_ENTRY, DATA.by_user.indices])


def test_a_weighted_sum_is_the_sparse_matrix_times_the_factors(
    factors: tuple[torch.Tensor, torch.Tensor],
) -> None:
    _, Q = factors
    values = torch.arange(len(PATTERN), dtype=torch.float64)
    dense = torch.zeros(DATA.n_users, DATA.n_items, dtype=torch.float64)
    dense[ROW_OF_ENTRY, DATA.by_user.indices] = values
    torch.testing.assert_close(PATTERN.weighted_sum(values, Q), dense @ Q)


def test_buckets_hold_every_row_once_and_gram_matrices_ignore_the_padding(
    factors: tuple[torch.Tensor, torch.Tensor],
) -> None:
    _, Q = factors
    seen: list[int] = []
    for bucket in PATTERN.buckets(5):
        grams = gram_matrices(bucket, with_zero_row(Q))
        for row, gram in zip(bucket.rows.tolist(), grams, strict=True):
            own = Q[torch.from_numpy(DATA.by_user.row(row).astype("int64"))]
            torch.testing.assert_close(gram, own.T @ own)
            seen.append(row)
    assert sorted(seen) == list(range(DATA.n_users))


def test_a_counted_sum_is_a_weighted_one_with_weights_of_one(factors: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, Q = factors
    ones = torch.ones(len(PATTERN), dtype=torch.float64)
    torch.testing.assert_close(PATTERN.counted_sum(Q), PATTERN.weighted_sum(ones, Q))


def test_no_entries_give_zero() -> None:
    empty = Pattern(Csr(np.zeros(4, dtype=np.int64), np.zeros(0, dtype=np.int32)), 2, CPU)
    Q = torch.ones(2, 5)
    assert empty.sample(torch.ones(3, 5), Q).shape == (0,)
    assert torch.equal(empty.weighted_sum(torch.zeros(0), Q), torch.zeros(3, 5))
    assert [len(bucket.rows) for bucket in empty.buckets(5)] == [3]
