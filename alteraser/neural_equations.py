"""Newton's equations of `neumf`: exact Hessian products, and Gauss-Newton blocks to precondition them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from alteraser.l2 import L2
from alteraser.model import Parameters, Side
from alteraser.network import Network
from alteraser.rotations import Rotations
from alteraser.rows import Rows
from alteraser.terms import Chunk, Terms
from alteraser.tower import Weights, n_weights

SHARED_SAMPLE = 1 << 15
"""Pairs, evenly spread, that the network's own Gauss-Newton block is estimated from."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """Cholesky factors of the Gauss-Newton blocks at one iterate, made when they are first asked for.

    Given all else, the loss is convex in a row's scores, and these are its second derivatives with the network taken
    to be linear in the block: positive definite where the Hessian's own blocks need not be. Memory: 4 (2 d + 1)^2
    bytes a row.

    Attributes:
        terms: What is summed over.
        network: The iterate, float32.
        curvature: (n,) the loss's second derivative by each term's output, by user.
        l2: The L2 weights.
    """

    terms: Terms
    network: Network
    curvature: Tensor
    l2: L2
    _made: dict[Side, Tensor] = field(default_factory=dict)

    def solve(self, side: Side, r: Tensor) -> Tensor:
        """Return the inverse of each of a side's blocks times its row of ``r`` (n_rows, width), or times ``r`` (n,)."""
        if side not in self._made:
            self._made[side] = self._factor(side)
        solved: Tensor = torch.cholesky_solve(r[..., None], self._made[side])[..., 0]
        return solved

    def _factor(self, side: Side) -> Tensor:
        if side == "users":
            block = row_blocks(self.terms.chunks, self.network, self.curvature)
            l2 = self.l2.users
        elif side == "items":
            curvature = self.curvature[self.terms.item_order]
            block = row_blocks(self.terms.chunks_by_item, self.network.transposed(), curvature)
            l2 = self.l2.items
        else:
            block = weights_block(self.terms, self.network, self.curvature)
            block.diagonal().add_(self.l2.shared)
            return _cholesky(block)
        block.diagonal(dim1=1, dim2=2).add_(l2.float()[:, None])
        return _cholesky(block)


def _cholesky(block: Tensor) -> Tensor:
    lower: Tensor = torch.linalg.cholesky(block)
    return lower


def row_blocks(chunks: list[Chunk], network: Network, curvature: Tensor) -> Tensor:
    """Return ``sum_n curvature_n J_n J_n^T`` over each row's pairs, (n_rows, 2 d + 1, 2 d + 1), J = ds / d row.

    Args:
        chunks: Pairs in the order of the side whose rows are meant, which is the network's first.
        network: The iterate.
        curvature: (n,) in the order of these pairs.
    """
    n_rows, width = network.users.all.shape
    blocks = network.users.all.new_zeros(n_rows, width, width)
    factors = network.items.with_one_only
    for chunk in chunks:
        _, slopes = network.of_chunk(chunk).slopes(network.weights)
        others = factors.index_select(0, chunk.other)
        J = torch.cat([others[:, :-1], slopes, others[:, -1:]], dim=1)
        J *= curvature[chunk.pairs].sqrt()[:, None]
        for row, start, stop in zip(range(n_rows)[chunk.rows], chunk.starts, chunk.starts[1:], strict=False):
            torch.mm(J[start:stop].T, J[start:stop], out=blocks[row])
    return blocks


def weights_block(terms: Terms, network: Network, curvature: Tensor) -> Tensor:
    """Return ``sum_n curvature_n J_n J_n^T``, J = ds / d weights, (n_weights, n_weights), estimated from some pairs."""
    step = max(len(terms) // SHARED_SAMPLE, 1)
    n = n_weights(network.users.d)
    total = network.user_m.new_zeros(n, n)
    for chunk in terms.chunks:
        activations = network.activations(chunk.own[::step], chunk.other[::step])
        slopes, _ = activations.slopes(network.weights)
        of_W = (slopes[:, None, :] * activations.s1.T[None]).flatten(0, 1)  # (h t, n)
        J = torch.cat([of_W, slopes, activations.s2, torch.ones_like(slopes[:1])])
        total.addmm_(J * curvature[chunk.pairs][::step], J.T)
    return step * total


class NeuralEquations:
    """H v = -g over all blocks at one iterate, float32; see `NewtonSystem`.

    Args:
        terms: What f sums over.
        at: The iterate.
        gradient: The gradient there.
        l2: The L2 weights.
        near: Equations whose blocks are near enough to precondition these.
    """

    def __init__(
        self, terms: Terms, at: Parameters, gradient: Parameters, l2: L2, near: NeuralEquations | None
    ) -> None:
        self._terms, self._l2 = terms, l2
        at = Parameters(at.users.float(), at.items.float(), at.shared.float())
        self._network = Network.of(at)
        share = torch.sigmoid(self._network.outputs(terms))
        self._errors = terms.counts * share - terms.positives
        self._curvature = terms.counts * share * (1 - share)
        own = Blocks(terms, self._network, self._curvature, l2)
        self.blocks: Blocks = near.blocks if near else own
        self._rotations = Rotations(self._network.users.p, self._network.items.p)
        self._shapes = at
        self.right_hand_side = -gradient.flat().float()

    def multiply(self, v: Tensor) -> Tensor:
        """Return the exact Hessian times ``v``; see `NewtonSystem`."""
        terms, network = self._terms, self._network
        direction = self._shapes.shaped(v)
        U, V, dU, dV = network.users, network.items, Rows(direction.users), Rows(direction.items)
        along = Weights.of(direction.shared, U.d)
        dr = terms.pattern.sample(
            torch.cat([dU.p, U.p, dU.bias_and_one], 1), torch.cat([V.p, dV.p, dV.one_and_bias], 1)
        )
        l2 = self._l2.times(direction)
        of_user_m, of_item_m = torch.zeros_like(network.user_m), torch.zeros_like(network.item_m)
        of_shared = l2.shared
        du_m, di_m = dU.m.contiguous(), dV.m.contiguous()
        for k, chunk in enumerate(terms.chunks):
            at = network.of_chunk(chunk)
            dx = du_m.index_select(0, chunk.own).add_(di_m.index_select(0, chunk.other))
            tangent = at.tangent(network.weights, dx, along)
            ds = tangent.output(at, network.weights, along)
            part = dr[chunk.pairs].add_(ds).mul_(self._curvature[chunk.pairs])
            of_x, of_weights = tangent.gradient(at, network.weights, along, self._errors[chunk.pairs], part)
            terms.add(of_user_m, of_item_m, of_x, k)
            of_shared = of_shared + of_weights.flat()
        r, order = self._errors, terms.item_order
        of_users = terms.pattern.weighted_sum(dr, V.with_one_only)
        of_users[:, :-1] += terms.pattern.weighted_sum(r, dV.p)
        of_items = terms.by_item.weighted_sum(dr[order], U.with_one_only)
        of_items[:, :-1] += terms.by_item.weighted_sum(r[order], dU.p)
        users, items = Rows.assembled(of_users, of_user_m) + l2.users, Rows.assembled(of_items, of_item_m) + l2.items
        return Parameters(users, items, of_shared).flat()

    def precondition(self, r: Tensor) -> Tensor:
        """Return the blocks' inverses times ``r``, joint rotations of the factors taken out; see `NewtonSystem`."""
        turned = self._without_rotations(self._shapes.shaped(r))
        solved = Parameters(
            self.blocks.solve("users", turned.users),
            self.blocks.solve("items", turned.items),
            self.blocks.solve("shared", turned.shared),
        )
        return self._without_rotations(solved).flat()

    def expand(self, v: Tensor) -> Parameters:
        """Return ``v`` as blocks in float64; see `NewtonSystem`."""
        return self._shapes.shaped(v.double())

    def distance(self, at: Parameters) -> float:
        """Return how far ``at`` is from this iterate, relative to its norm."""
        here = self._shapes.flat().double()
        return float((at.flat() - here).norm() / here.norm().clamp_min(1e-300))

    def solved(self, side: Side, r: Tensor) -> Tensor:
        """Return the inverse of each of a side's blocks times its row of ``r``, in the shape and type of ``r``."""
        return self.blocks.solve(side, r.float()).to(r)

    def damped_step(self, damping: float) -> Tensor:
        """Return the weights' block step with ``damping`` means of the block's diagonal added to it, (n_weights,)."""
        block = weights_block(self._terms, self._network, self._curvature)
        block.diagonal().add_(damping * block.diagonal().mean() + self._l2.shared)
        minus_gradient = self._shapes.shaped(self.right_hand_side).shared
        return torch.cholesky_solve(minus_gradient[:, None], torch.linalg.cholesky(block))[:, 0]

    def _without_rotations(self, along: Parameters) -> Parameters:
        d = self._network.users.d
        of_P, of_Q = self._rotations.remove(along.users[:, :d], along.items[:, :d])
        users, items = (
            torch.cat([factors, rows[:, d:]], dim=1) for factors, rows in ((of_P, along.users), (of_Q, along.items))
        )
        return Parameters(users, items, along.shared)
