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
        a2 = weights.w[:, None] * _cube(self.g2)
        return a2, (a2.T @ weights.W).mul_(_cube(self.g1))

    def gradient(self, weights: Weights, r: Tensor) -> tuple[Tensor, Weights]:
        """Return ``sum_n r_n d output_n`` by first-layer inputs (n, t), not summed, and by weights.

        Args:
            weights: Of the network.
            r: (n,) the loss's derivative by each output.
        """
        d2 = _cube(self.g2).mul_(weights.w[:, None]).mul_(r)
        d1 = (d2.T @ weights.W).mul_(_cube(self.g1))
        return d1, Weights(d2 @ self.s1, d2.sum(dim=1), self.s2 @ r, r.sum()[None])

    def linearised(self, weights: Weights, r: Tensor) -> Linearised:
        """Return how `gradient` changes with inputs and weights, the loss's derivatives being ``r`` (n,) here."""
        p1, p2 = _cube(self.g1), _cube(self.g2)
        d2 = r * weights.w[:, None]
        c2 = (self.s2 * self.g2.square().square_()).mul_(d2).mul_(-3.0)
        d2.mul_(p2)
        c1 = (self.s1 * self.g1.square().square_()).mul_(d2.T @ weights.W).mul_(-3.0)
        return Linearised(weights, r, self.s1, p1, c1, self.s2, p2, c2, d2)


@dataclass(frozen=True, slots=True)
class Linearised:
    """`Activations` and their loss's gradient, linearised: all that a Hessian product needs of n pairs.

    Pearlmutter's R-operator ("Fast exact multiplication by the Hessian", Neural Computation 1994) written out, with
    what does not depend on the direction computed once. Memory: 12 t + 16 h bytes a pair in float32.

    Attributes:
        weights: Of the network.
        r: (n,) the loss's derivative by each output.
        s1: (n, t) first layer.
        p1: (n, t) phi' of its input.
        c1: (n, t) phi'' of its input times the loss's derivative by s1.
        s2: (h, n) second layer.
        p2: (h, n) phi' of its input.
        c2: (h, n) phi'' of its input times the loss's derivative by s2.
        d2: (h, n) the loss's derivative by its input.
    """

    weights: Weights
    r: Tensor
    s1: Tensor
    p1: Tensor
    c1: Tensor
    s2: Tensor
    p2: Tensor
    c2: Tensor
    d2: Tensor

    def along(self, dx: Tensor, weights: Weights) -> Tangent:
        """Return how the activations change along inputs ``dx`` (n, t) and a direction in the weights."""
        ds1 = self.p1 * dx
        dz2 = torch.addmm(weights.b[:, None], weights.W, self.s1.T).addmm_(self.weights.W, ds1.T)
        return Tangent(self, weights, dx, ds1, dz2, self.p2 * dz2)


@dataclass(frozen=True, slots=True)
class Tangent:
    """The derivative of `Activations` along a direction.

    Attributes:
        at: Where.
        along: The direction in the weights.
        dx: (n, t) of the first layer's input.
        ds1: (n, t) of its output.
        dz2: (h, n) of the second layer's input.
        ds2: (h, n) of its output.
    """

    at: Linearised
    along: Weights
    dx: Tensor
    ds1: Tensor
    dz2: Tensor
    ds2: Tensor

    def output(self) -> Tensor:
        """Return the derivative of the network's output, (n,)."""
        return self.at.weights.w @ self.ds2 + self.along.w @ self.at.s2 + self.along.c

    def gradient(self, dr: Tensor) -> tuple[Tensor, Weights]:
        """Return the derivative of `Activations.gradient`, r itself changing by ``dr`` (n,)."""
        at, along, W = self.at, self.along, self.at.weights.W
        dd2 = torch.outer(along.w, at.r).addr_(at.weights.w, dr).mul_(at.p2).addcmul_(at.c2, self.dz2)
        dd1 = torch.addmm(dd2.T @ W, at.d2.T, along.W).mul_(at.p1).addcmul_(at.c1, self.dx)
        by_weights = Weights(
            torch.addmm(dd2 @ at.s1, at.d2, self.ds1),
            dd2.sum(dim=1),
            at.s2 @ dr + self.ds2 @ at.r,
            dr.sum()[None],
        )
        return dd1, by_weights


def _cube(g: Tensor) -> Tensor:
    return g.square().mul_(g)


def _g(z: Tensor) -> Tensor:
    return torch.addcmul(torch.ones((), dtype=z.dtype, device=z.device), z, z).rsqrt_()
