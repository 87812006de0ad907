"""How far apart the scores of two models are: the Frobenius norm of the difference, over all pairs or some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.model import ModelKind, Parameters

Rows = NDArray[np.int64]

CELLS_PER_BATCH = 16_000_000


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of some users and some items.

    Attributes:
        users: User rows; all when None.
        items: Item rows; all when None.
    """

    users: Rows | None = None
    items: Rows | None = None


EVERY_PAIR = Pairs()


def score_distance(kind: ModelKind, one: Parameters, other: Parameters, pairs: Pairs = EVERY_PAIR) -> float:
    """Return ``sqrt(sum (scores_one - scores_other)^2)`` over the pairs, in float64.

    Where scores turn out to be inner products of a user's and an item's row, no score is computed: the difference is
    ``[P, -P'] [Q, Q']^T``, whose norm is that of the product of the factors' triangles. Unlike the expanded square this
    loses nothing to cancellation when the two are close.

    Args:
        kind: Gives the scores.
        one: Parameters over some rows.
        other: Parameters over the same rows; their blocks may be of another width.
        pairs: Which pairs.
    """
    if _are_inner_products(kind, one) and _are_inner_products(kind, other):
        users = torch.cat([_rows(one.users, pairs.users), -_rows(other.users, pairs.users)], dim=1)
        items = torch.cat([_rows(one.items, pairs.items), _rows(other.items, pairs.items)], dim=1)
        return float((_triangle(users) @ _triangle(items).T).norm())
    return _distance_by_scores(kind, one, other, pairs)


def _are_inner_products(kind: ModelKind, parameters: Parameters) -> bool:
    """Whether this model scores a pair by the inner product of its rows, told from what it answers for a few users."""
    users, items = parameters.users, parameters.items
    if parameters.shared.numel() or users.shape[1] != items.shape[1]:
        return False
    few = np.arange(min(len(users), 2))
    return np.allclose(kind.scores(parameters, few), (users[few] @ items.T).numpy(), rtol=1e-9, atol=1e-12)


def _distance_by_scores(kind: ModelKind, one: Parameters, other: Parameters, pairs: Pairs) -> float:
    columns = slice(None) if pairs.items is None else pairs.items
    total = 0.0
    for rows in _batches(one, pairs):
        difference = kind.scores(one, rows)[:, columns] - kind.scores(other, rows)[:, columns]
        total += float(np.square(difference).sum())
    return float(total**0.5)


def _batches(parameters: Parameters, pairs: Pairs) -> Iterator[Rows]:
    rows = np.arange(len(parameters.users)) if pairs.users is None else pairs.users
    size = max(CELLS_PER_BATCH // max(len(parameters.items), 1), 1)
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _rows(block: Tensor, rows: Rows | None) -> Tensor:
    return block if rows is None else block[rows]


def _triangle(matrix: Tensor) -> Tensor:
    """R of the QR factorisation, (min(n, d), d)."""
    triangle: Tensor = torch.linalg.qr(matrix, mode="r").R
    return triangle
