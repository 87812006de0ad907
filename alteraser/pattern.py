"""The sparsity pattern of the interactions as torch sees it: products over the pairs that are there, nothing dense.

Every operation takes values in the order of the pattern's own entries, (nnz,). On two cores and a million
interactions one product takes about 7 ms in float32 and 20 ms in float64; int32 indices matter (with int64, torch
falls back to a kernel four times slower).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.interactions import Csr

GATHER_BYTES = 1 << 26
"""Upper bound on one gathered bucket of factors, so that memory does not follow the heaviest user."""

BUCKET_GROWTH = 1.1
"""Rows are padded to at most this multiple of their own length (measured: 5 % padding, the fastest of 1.1 ... 2)."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows of about equal length, padded to one.

    Attributes:
        rows: (B,) rows of the pattern.
        columns: (B, m) their columns; padded with the number of columns.
    """

    rows: Tensor
    columns: Tensor


class Pattern:
    """One orientation of the interactions, (n_rows, n_columns).

    Args:
        csr: Rows and their columns.
        n_columns: Number of columns.
        device: Where products are computed.
    """

    def __init__(self, csr: Csr, n_columns: int, device: torch.device) -> None:
        self.csr = csr
        self.n_rows = len(csr.indptr) - 1
        self.n_columns = n_columns
        self.device = device
        self._indptr = torch.from_numpy(csr.indptr.astype(np.int32)).to(device)
        self._indices = torch.from_numpy(csr.indices.astype(np.int32)).to(device)
        self._buckets: list[Bucket] | None = None

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._indices)

    def sample(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return ``rows[r] . columns[c]`` for every entry (r, c), (nnz,)."""
        if len(self) == 0:
            return rows.new_zeros(0)
        zeros = self._matrix(rows.new_zeros(len(self)))
        sampled: Tensor = torch.sparse.sampled_addmm(zeros, rows, columns.T)
        return sampled.values()

    def weighted_sum(self, values: Tensor, columns: Tensor) -> Tensor:
        """Return ``sum_c values[r, c] * columns[c]`` for every row r, (n_rows, d)."""
        if len(self) == 0:
            return columns.new_zeros(self.n_rows, columns.shape[1])
        return self._matrix(values) @ columns

    def counted_sum(self, columns: Tensor) -> Tensor:
        """Return ``sum_c columns[c]`` over every row's entries, (n_rows, d)."""
        return self.weighted_sum(columns.new_ones(len(self)), columns)

    def buckets(self, d: int) -> list[Bucket]:
        """Return all rows in buckets whose gathered float32 factors, ``d`` wide, stay small."""
        if self._buckets is None:
            self._buckets = list(self._make_buckets(d))
        return self._buckets

    def _make_buckets(self, d: int) -> Iterator[Bucket]:
        counts = self.csr.counts
        rows = np.argsort(counts, kind="stable")
        counts = counts[rows]
        start = 0
        while start < len(rows):
            longest = max(int(counts[start] * BUCKET_GROWTH), 8)
            stop = int(np.searchsorted(counts, longest, side="right"))
            stop = min(stop, start + max(1, GATHER_BYTES // (4 * d * longest)))
            yield self._bucket(rows[start:stop], counts[start:stop])
            start = stop

    def _bucket(self, rows: NDArray[np.int64], counts: NDArray[np.int64]) -> Bucket:
        offsets = np.arange(counts.max(initial=0))[None, :]
        inside = offsets < counts[:, None]
        columns = np.full(inside.shape, self.n_columns, dtype=np.int64)
        columns[inside] = self.csr.indices[(self.csr.indptr[rows][:, None] + offsets)[inside]]
        return Bucket(torch.from_numpy(rows).to(self.device), torch.from_numpy(columns).to(self.device))

    def _matrix(self, values: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            return torch.sparse_csr_tensor(
                self._indptr, self._indices, values, (self.n_rows, self.n_columns), check_invariants=False
            )


def gram_matrices(bucket: Bucket, columns: Tensor) -> Tensor:
    """Return ``sum_c columns[c] columns[c]^T`` over each row's entries, (B, d, d).

    Args:
        bucket: Rows of the pattern.
        columns: (n_columns + 1, d) factors, the last row zero: what padding points to.
    """
    gathered = columns[bucket.columns]  # (B, m, d)
    return gathered.mT @ gathered


def with_zero_row(factors: Tensor) -> Tensor:
    """Return the factors (n, d) with one more row of zeros for padding to point to."""
    return torch.cat([factors, factors.new_zeros(1, factors.shape[1])])
