"""Steps of blocks, whose sub-problems are not quadratic: a share of each row's own step, and rows that lost a term."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from alteraser.model import LocalStep, Parameters, RemovedTerms, Side

SHARES = (1.0, 0.5, 0.25, 0.0625)
"""Of a row's own step, tried one after the other."""

UNTOUCHED = 1e-6
"""Rows whose gradient is below this share of the largest row's did not lose a term."""

Parts = Callable[[Parameters], Tensor]
"""The part of the objective that each block of one side has, (n_rows,)."""


def moved(at: Parameters, side: Side, step: Tensor) -> Parameters:
    """Return ``at`` with one side moved by a step of its shape."""
    if side == "shared":
        return replace(at, shared=at.shared + step)
    return replace(at, users=at.users + step) if side == "users" else replace(at, items=at.items + step)


def rows_moved(at: Parameters, side: Side, step: Tensor, parts: Parts) -> Parameters:
    """Return ``at`` with each row of a side moved by the longest share of its step that lessens its part, if any."""
    before = parts(at)
    taken = torch.zeros_like(before)
    for share in SHARES:
        lower = parts(moved(at, side, share * step)) < before
        taken = torch.where(lower & (taken == 0), share, taken)
        if taken.all():
            break
    return moved(at, side, taken[:, None] * step)


def local_step(gradient: Parameters, removed: RemovedTerms, solved: Callable[[Side, Tensor], Tensor]) -> LocalStep:
    """Return one step of the rows that lost a term.

    A deleted item takes negatives of users who never met it along, so that which rows these are is read off the
    gradient. The norms that are returned are those of all blocks, the shared vector included.

    Args:
        gradient: Over what is kept.
        removed: What the deletion took away.
        solved: The inverses of a side's blocks times a vector each.
    """
    if not len(removed.users) and bool((removed.kept_items >= 0).all()):
        rows = torch.zeros(0, dtype=torch.int64, device=gradient.users.device)
        return LocalStep(rows, gradient.users[rows], rows, gradient.items[rows], gradient=0.0, worst_block=0.0)
    users, items = _touched(gradient.users), _touched(gradient.items)
    return LocalStep(
        user_rows=users,
        users=-solved("users", gradient.users)[users],
        item_rows=items,
        items=-solved("items", gradient.items)[items],
        gradient=gradient.norm(),
        worst_block=gradient.worst_block(),
    )


def _touched(gradient: Tensor) -> Tensor:
    norms = gradient.norm(dim=1)
    largest = norms.max() if len(norms) else norms.sum()
    return torch.nonzero(norms > UNTOUCHED * largest)[:, 0]
