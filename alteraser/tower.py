"""The multi-layer perceptron of `neumf` with its derivatives written out: two hidden layers, smooth, small.

For a pair with layer-1 input ``x = m_u + m_i`` (t,):

    s1 = phi(x);   s2 = phi(W s1 + b);   output = w . s2 + c

phi(z) = z / sqrt(1 + z^2), the inverse square root unit (Carlile et al., "Improving deep learning by inverse square
root linear units", arXiv 1710.09967): analytic, bounded like tanh, and three to four times cheaper. With
g = (1 + z^2)^-1/2: phi = z g, phi' = g^3, phi'' = -3 phi g^4.

Arrays of pairs are (n, t) in the first layer, where rows are gathered and summed, and (h, n) in the second, where they
meet W: so each product has the long axis where the processor wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Weights(NamedTuple):
    """The network's weights; the same tuple holds a direction in them, or a gradient.

    Attributes:
        W: (h, t).
        b: (h,).
        w: (h,).
        c: (1,).
    """

    W: Tensor
    b: Tensor
    w: Tensor
    c: Tensor

    @classmethod
    def of(cls, flat: Tensor, t: int) -> Weights:
        """Return views into a flat vector of `n_weights`."""
        h = hidden(t)
        of_layers = flat[h * t : -1].view(2, h)
        return cls(flat[: h * t].view(h, t), of_layers[0], of_layers[1], flat[-1:])

    def flat(self) -> Tensor:
        """Return the flat vector, (n_weights,)."""
        return torch.cat([self.W.reshape(-1), self.b, self.w, self.c])


def hidden(t: int) -> int:
    """Return the width of the second layer: half the first, as in the pyramids of He et al. (WWW 2017)."""
    return max(t // 2, 1)


def n_weights(t: int) -> int:
    """Return the number of weights of a network whose first layer is ``t`` wide."""
    return hidden(t) * (t + 2) + 1


@dataclass(frozen=True, slots=True)
class Activations:
    """What the network computes for n pairs.

    Attributes:
        s1: (n, t) first layer.
        g1: (n, t) its ``(1 + z^2)^-1/2``.
        s2: (h, n) second layer.
        g2: (h, n) likewise.
    """

    s1: Tensor
    g1: Tensor
    s2: Tensor
    g2: Tensor

    @classmethod
    def of(cls, weights: Weights, x: Tensor) -> Activations:
        """Run the network on first-layer inputs ``x`` (n, t)."""
        g1 = _g(x)
        s1 = x * g1
        z2 = torch.addmm(weights.b[:, None], weights.W, s1.T)
        g2 = _g(z2)
        return cls(s1, g1, z2 * g2, g2)

    def output(self, weights: Weights) -> Tensor:
        """Return the network's output, (n,)."""
        return weights.w @ self.s2 + weights.c

    def slopes(self, weights: Weights) -> tuple[Tensor, Tensor]:
        """Return the output's derivatives by the inputs of the second layer (h, n) and of the first (n, t)."""
        a2 = weights.w[:, None] * self.g2.pow(3)
        return a2, (a2.T @ weights.W).mul_(self.g1.pow(3))

    def gradient(self, weights: Weights, r: Tensor) -> tuple[Tensor, Weights]:
        """Return ``sum_n r_n d output_n`` by first-layer inputs (n, t), not summed, and by weights.

        Args:
            weights: Of the network.
            r: (n,) the loss's derivative by each output.
        """
        d2 = self.g2.pow(3).mul_(weights.w[:, None]).mul_(r)
        d1 = (d2.T @ weights.W).mul_(self.g1.pow(3))
        return d1, Weights(d2 @ self.s1, d2.sum(dim=1), self.s2 @ r, r.sum()[None])

    def tangent(self, weights: Weights, dx: Tensor, along: Weights) -> Tangent:
        """Return how the activations change along inputs ``dx`` (n, t) and weights ``along``."""
        p1 = self.g1.pow(3)
        ds1 = p1 * dx
        dz2 = torch.addmm(along.b[:, None], along.W, self.s1.T).addmm_(weights.W, ds1.T)
        p2 = self.g2.pow(3)
        return Tangent(dx, p1, ds1, dz2, p2, p2 * dz2)


@dataclass(frozen=True, slots=True)
class Tangent:
    """The derivative of `Activations` along a direction.

    Pearlmutter's R-operator ("Fast exact multiplication by the Hessian", Neural Computation 1994) written out.

    Attributes:
        dx: (n, t) of the first layer's input.
        p1: (n, t) phi' there.
        ds1: (n, t) of its output.
        dz2: (h, n) of the second layer's input.
        p2: (h, n) phi' there.
        ds2: (h, n) of its output.
    """

    dx: Tensor
    p1: Tensor
    ds1: Tensor
    dz2: Tensor
    p2: Tensor
    ds2: Tensor

    def output(self, at: Activations, weights: Weights, along: Weights) -> Tensor:
        """Return the derivative of the network's output, (n,)."""
        return weights.w @ self.ds2 + along.w @ at.s2 + along.c

    def gradient(
        self, at: Activations, weights: Weights, along: Weights, r: Tensor, dr: Tensor
    ) -> tuple[Tensor, Weights]:
        """Return the derivative of `Activations.gradient`, r itself changing by ``dr`` (n,)."""
        d2 = r * weights.w[:, None]  # (h, n), less the factor phi'
        dd2 = torch.outer(along.w, r).add_(torch.outer(weights.w, dr)).mul_(self.p2)
        dd2.addcmul_(d2, self.dz2 * at.s2 * at.g2.pow(4), value=-3.0)
        d2.mul_(self.p2)
        e1 = d2.T @ weights.W
        dd1 = torch.addmm(dd2.T @ weights.W, d2.T, along.W).mul_(self.p1)
        dd1.addcmul_(e1, self.dx * at.s1 * at.g1.pow(4), value=-3.0)
        by_weights = Weights(
            torch.addmm(dd2 @ at.s1, d2, self.ds1),
            dd2.sum(dim=1),
            at.s2 @ dr + self.ds2 @ r,
            dr.sum()[None],
        )
        return dd1, by_weights


def _g(z: Tensor) -> Tensor:
    return torch.addcmul(torch.ones((), dtype=z.dtype, device=z.device), z, z).rsqrt_()
