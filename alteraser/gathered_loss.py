"""The loss of any score of gathered blocks over positives and negatives, differentiated by torch.func.

For terms n = (u, i) with counts as in `alteraser.terms` and s_n = score(row_u, row_i, w):

    loss = sum_n [ counts_n softplus(-s_n) + negatives_n s_n ] = sum_n [ counts_n softplus(s_n) - positives_n s_n ]

All in float64 and by reverse mode: a product with the Hessian, which is symmetric, is the gradient's vector-Jacobian
product, which torch has for every operation it can differentiate twice; forward mode lacks some. Whatever is computed
of all terms is computed of one chunk after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.func import grad, grad_and_value, vjp, vmap
from torch.nn.functional import softplus

from alteraser.errors import InvalidScore
from alteraser.model import Parameters, Side
from alteraser.terms import Chunk, Summing, Terms

Score: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From users' rows (n, w_u), items' rows (n, w_i) and the shared vector (m,) to scores (n,), pair by pair."""

Gathered: TypeAlias = tuple[Tensor, Tensor, Tensor]

LINEAR_BEYOND = 50.0
"""Where softplus is its asymptote to float64's last digit; torch's default of 20 would put a step into the loss."""

SHARED_SAMPLE = 1 << 15
"""Pairs, evenly spread, that the shared vector's Gauss-Newton block is estimated from."""

JACOBIAN_ENTRIES = 1 << 23
"""Derivatives by the shared vector that are held at once: 64 MiB."""


class GatheredLoss:
    """The loss over one set of terms. Holds no parameters.

    Args:
        score: Called with float64 tensors; its result for a pair may depend on nothing of other pairs.
        terms: The positives and their negatives.

    Raises:
        InvalidScore: From every method, where the score's result is not one number a pair.
    """

    def __init__(self, score: Score, terms: Terms) -> None:
        self._score, self._terms = score, terms
        self._sums = [_sums(chunk, terms.pattern.n_columns) for chunk in terms.chunks]
        self._counts, self._positives = terms.counts.double(), terms.positives.double()

    def value_and_gradient(self, at: Parameters) -> tuple[float, Parameters]:
        """Return the loss and its gradient, sums over terms."""
        value, total = 0.0, _zeros_like(at)
        for k, chunk in enumerate(self._terms.chunks):
            of_gathered = grad_and_value(self._loss_of(chunk), argnums=(0, 1, 2))
            gradient, loss = of_gathered(*_gathered(at, chunk))
            value += float(loss)
            total = self._plus(total, gradient, k)
        return value, total

    def times(self, at: Parameters, direction: Parameters) -> Parameters:
        """Return the exact Hessian at ``at`` times a direction."""
        total = _zeros_like(at)
        for k, chunk in enumerate(self._terms.chunks):
            gradient = grad(self._loss_of(chunk), argnums=(0, 1, 2))
            change: Gathered = vjp(gradient, *_gathered(at, chunk))[1](_gathered(direction, chunk))
            total = self._plus(total, change, k)
        return total

    def parts(self, at: Parameters, side: Side) -> Tensor:
        """Return the part of the loss that each row of a side has, (n_rows,), or the whole loss, (1,)."""
        losses = self._losses(at)
        if side == "shared":
            return losses.sum()[None]
        rows = at.users if side == "users" else at.items
        total = losses.new_zeros(len(rows))
        for chunk in self._terms.chunks:
            total.index_add_(0, chunk.own if side == "users" else chunk.other, losses[chunk.pairs])
        return total

    def curvature(self, at: Parameters) -> Tensor:
        """Return the loss's second derivative by each term's score, (n,) by user."""
        share = torch.sigmoid(self._scores(at))
        return self._counts * share * (1 - share)

    def row_blocks(self, at: Parameters, side: Side) -> Tensor:
        """Return ``sum_n curvature_n J_n J_n^T`` over each row's terms, (n_rows, w, w), J_n = d s_n / d row."""
        curvature, by_user = self.curvature(at), side == "users"
        rows = at.users if by_user else at.items
        blocks = rows.new_zeros(*rows.shape, rows.shape[1])
        of_order = curvature if by_user else curvature[self._terms.item_order]
        for chunk in self._terms.chunks if by_user else self._terms.chunks_by_item:
            gathered = _gathered(at, chunk) if by_user else _gathered_by_item(at, chunk)
            J = grad(self._total_score, argnums=0 if by_user else 1)(*gathered)
            J = J * of_order[chunk.pairs].sqrt()[:, None]
            for row, start, stop in zip(range(len(rows))[chunk.rows], chunk.starts, chunk.starts[1:], strict=False):
                torch.mm(J[start:stop].T, J[start:stop], out=blocks[row])
        return blocks

    def shared_block(self, at: Parameters) -> Tensor:
        """Return ``sum_n curvature_n J_n J_n^T``, J_n = d s_n / d shared, (m, m), estimated from some terms."""
        curvature, m = self.curvature(at), len(at.shared)
        step = max(len(self._terms) // SHARED_SAMPLE, 1)
        block = at.shared.new_zeros(m, m)
        of_pairs = vmap(grad(self._score_of_one, argnums=2), in_dims=(0, 0, None))
        for chunk in self._terms.chunks:
            users, items, shared = _gathered(at, chunk)
            pairs = torch.arange(0, len(users), step, device=users.device)
            for some in torch.split(pairs, max(JACOBIAN_ENTRIES // max(m, 1), 1)):
                J = of_pairs(users[some], items[some], shared)
                block.addmm_(J.T * curvature[chunk.pairs][some], J)
        return step * block

    def _loss_of(self, chunk: Chunk) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        def loss(users: Tensor, items: Tensor, shared: Tensor) -> Tensor:
            return self._of_scores(self._scored(users, items, shared), chunk.pairs).sum()

        return loss

    def _losses(self, at: Parameters) -> Tensor:
        return self._of_scores(self._scores(at), slice(None))

    def _of_scores(self, scores: Tensor, pairs: slice) -> Tensor:
        of_negatives: Tensor = softplus(scores, threshold=LINEAR_BEYOND)
        return self._counts[pairs] * of_negatives - self._positives[pairs] * scores

    def _scores(self, at: Parameters) -> Tensor:
        """Return every term's score, (n,) by user."""
        scores = at.users.new_empty(len(self._terms))
        for chunk in self._terms.chunks:
            scores[chunk.pairs] = self._scored(*_gathered(at, chunk))
        return scores

    def _scored(self, users: Tensor, items: Tensor, shared: Tensor) -> Tensor:
        scores = self._score(users, items, shared)
        if scores.shape != (len(users),):
            raise InvalidScore(tuple(scores.shape), len(users))
        return scores

    def _total_score(self, users: Tensor, items: Tensor, shared: Tensor) -> Tensor:
        """Return the scores' sum, whose gradient by gathered rows is each pair's own."""
        return self._scored(users, items, shared).sum()

    def _score_of_one(self, user: Tensor, item: Tensor, shared: Tensor) -> Tensor:
        return self._scored(user[None], item[None], shared)[0]

    def _plus(self, total: Parameters, of_gathered: Gathered, k: int) -> Parameters:
        """Return ``total``, whose rows are added to in place, with the sums of what chunk k's pairs contribute."""
        (by_user, by_item), (users, items, shared) = self._sums[k], of_gathered
        by_user.add_to(total.users[self._terms.chunks[k].rows], users)
        by_item.add_to(total.items, items)
        return Parameters(total.users, total.items, total.shared + shared)


def _sums(chunk: Chunk, n_items: int) -> tuple[Summing, Summing]:
    n_rows = chunk.rows.stop - chunk.rows.start
    return Summing.by(chunk.own - chunk.rows.start, n_rows), Summing.by(chunk.other, n_items)


def _gathered(at: Parameters, chunk: Chunk) -> Gathered:
    return at.users.index_select(0, chunk.own), at.items.index_select(0, chunk.other), at.shared


def _gathered_by_item(at: Parameters, chunk: Chunk) -> Gathered:
    return at.users.index_select(0, chunk.other), at.items.index_select(0, chunk.own), at.shared


def _zeros_like(at: Parameters) -> Parameters:
    return Parameters(torch.zeros_like(at.users), torch.zeros_like(at.items), torch.zeros_like(at.shared))
