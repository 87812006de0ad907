"""Newton's equations of `neumf`: exact Hessian products, and an inverse that is nearly right.

The preconditioner has the parts of `alteraser.equations`: Gauss-Newton blocks of every row and of the network's
weights, the coupling of the factors outside their range, and a projection that takes rotations out.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from alteraser.coupling import Coupling, Curvature
from alteraser.l2 import L2
from alteraser.model import Parameters, Side
from alteraser.network import Network
from alteraser.outside import OutsideGradient
from alteraser.rotations import Rotations
from alteraser.rows import Rows
from alteraser.terms import Chunk, Terms
from alteraser.tower import Linearised, Weights, n_weights

SHARED_SAMPLE = 1 << 15
"""Pairs, evenly spread, that the network's own Gauss-Newton block is estimated from."""

KEPT_CHUNKS = 64
"""Chunks of pairs whose linearised network is kept from one product to the next, which then takes half as long. Of
16 dimensions that is 10 MB a chunk, 700 MB in all; the others' is computed at every product."""


class Blocks:
    """What preconditions at one iterate, made when it is first asked for: sub-problems, and their coupling.

    Given all else, the loss is convex in a row's scores, and the Gauss-Newton blocks are its second derivatives with
    the network taken to be linear in the block: positive definite where the Hessian's own blocks need not be. Memory:
    4 (2 d + 1)^2 bytes a row.

    Args:
        terms: What is summed over.
        network: The iterate, float32.
        errors: (n,) the loss's derivative by each term's output, by user.
        curvature: (n,) its second derivative.
        l2: The L2 weights.
    """

    def __init__(self, terms: Terms, network: Network, errors: Tensor, curvature: Tensor, l2: L2) -> None:
        self._terms, self._network = terms, network
        self._errors, self._curvature = errors, curvature
        self._l2 = l2
        self._factors: dict[Side, Tensor] = {}

    def solve(self, side: Side, r: Tensor) -> Tensor:
        """Return the inverse of each of a side's blocks times its row of ``r`` (n_rows, width), or times ``r`` (n,)."""
        solved: Tensor = torch.cholesky_solve(r[..., None], self._factor(side))[..., 0]
        return solved

    @cached_property
    def coupling(self) -> Coupling:
        """How the factors of users and items pull at each other; see `alteraser.coupling`."""
        terms, network = self._terms, self._network
        l2 = self._l2.users.float(), self._l2.items.float()
        outside = OutsideGradient(
            terms.pattern,
            terms.by_item,
            self._errors,
            self._errors[terms.item_order],
            network.users.p,
            network.items.p,
            (l2[0].sqrt()[:, None], l2[1].sqrt()[:, None]),
            alpha0=0.0,
        )
        return Coupling.of(outside, l2, (_curvature(self._factor("users")), _curvature(self._factor("items"))))

    def _factor(self, side: Side) -> Tensor:
        """Return the Cholesky factors of a side's blocks."""
        if side not in self._factors:
            self._factors[side] = torch.linalg.cholesky(self._block(side))
        return self._factors[side]

    def _block(self, side: Side) -> Tensor:
        if side == "users":
            block = row_blocks(self._terms.chunks, self._network, self._curvature)
            l2 = self._l2.users
        elif side == "items":
            curvature = self._curvature[self._terms.item_order]
            block = row_blocks(self._terms.chunks_by_item, self._network.transposed(), curvature)
            l2 = self._l2.items
        else:
            block = weights_block(self._terms, self._network, self._curvature)
            block.diagonal().add_(self._l2.shared)
            return block
        block.diagonal(dim1=1, dim2=2).add_(l2.float()[:, None])
        return block


def _curvature(factors: Tensor) -> Curvature:
    """Return the curvature of a side's rows along directions of the factors; see `alteraser.coupling`.

    Args:
        factors: (n, width, width) Cholesky factors of the rows' blocks.
    """

    def along(directions: Tensor) -> Tensor:
        of_factors = factors[:, : len(directions)]  # (n, d, width)
        squares = (directions.flatten(1).T @ of_factors).square().sum(dim=2)  # (n, G k)
        return squares.reshape(len(squares), *directions.shape[1:]).mean(dim=2)

    return along


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
        own = Blocks(terms, self._network, self._errors, self._curvature, l2)
        self.blocks: Blocks = near.blocks if near else own
        self._rotations = Rotations(self._network.users.p, self._network.items.p)
        self._shapes = at
        self._kept: list[Linearised] = []
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
            dx = du_m.index_select(0, chunk.own).add_(di_m.index_select(0, chunk.other))
            tangent = self._linearised(chunk, k).along(dx, along)
            part = dr[chunk.pairs].add_(tangent.output()).mul_(self._curvature[chunk.pairs])
            of_x, of_weights = tangent.gradient(part)
            terms.add(of_user_m, of_item_m, of_x, k)
            of_shared = of_shared + of_weights.flat()
        r, order = self._errors, terms.item_order
        of_users = terms.pattern.weighted_sum(dr, V.with_one_only)
        of_users[:, :-1] += terms.pattern.weighted_sum(r, dV.p)
        of_items = terms.by_item.weighted_sum(dr[order], U.with_one_only)
        of_items[:, :-1] += terms.by_item.weighted_sum(r[order], dU.p)
        users, items = Rows.assembled(of_users, of_user_m) + l2.users, Rows.assembled(of_items, of_item_m) + l2.items
        return Parameters(users, items, of_shared).flat()

    def _linearised(self, chunk: Chunk, k: int) -> Linearised:
        """Return the network linearised at a chunk's pairs, of chunk number k; the first ones are kept."""
        if k < len(self._kept):
            return self._kept[k]
        made = self._network.of_chunk(chunk).linearised(self._network.weights, self._errors[chunk.pairs])
        if k < KEPT_CHUNKS:
            self._kept.append(made)
        return made

    def precondition(self, r: Tensor) -> Tensor:
        """Return nearly the inverse of H times ``r``, joint rotations of the factors taken out; see `NewtonSystem`."""
        turned = self._without_rotations(self._shapes.shaped(r))
        users, items = self.blocks.solve("users", turned.users), self.blocks.solve("items", turned.items)
        d = self._network.users.d
        of_P, of_Q = self.blocks.coupling.added(turned.users[:, :d], turned.items[:, :d])
        users[:, :d] += of_P
        items[:, :d] += of_Q
        return self._without_rotations(Parameters(users, items, self.blocks.solve("shared", turned.shared))).flat()

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
