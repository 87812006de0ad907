"""The parts of a `neumf` row: inner product, tower input, bias."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of users or of items, or a direction in them, (n, 2 d + 1) = [factors | tower input | bias].

    Attributes:
        all: The rows.
    """

    all: Tensor

    @property
    def d(self) -> int:
        """Return the width of the factors, which is that of the tower's input."""
        return (self.all.shape[1] - 1) // 2

    @property
    def p(self) -> Tensor:
        """Return the factors, (n, d)."""
        return self.all[:, : self.d]

    @property
    def m(self) -> Tensor:
        """Return the tower inputs, (n, d)."""
        return self.all[:, self.d : -1]

    @property
    def b(self) -> Tensor:
        """Return the biases, (n, 1)."""
        return self.all[:, -1:]

    @property
    def with_bias(self) -> Tensor:
        """Return [factors | bias | 1], whose inner product with the other side's `with_one` holds both biases."""
        return torch.cat([self.p, self.bias_and_one], dim=1)

    @property
    def with_one(self) -> Tensor:
        """Return [factors | 1 | bias]."""
        return torch.cat([self.p, self.one_and_bias], dim=1)

    @property
    def bias_and_one(self) -> Tensor:
        """Return [bias | 1], (n, 2)."""
        return torch.cat([self.b, torch.ones_like(self.b)], dim=1)

    @property
    def one_and_bias(self) -> Tensor:
        """Return [1 | bias], (n, 2)."""
        return torch.cat([torch.ones_like(self.b), self.b], dim=1)

    @property
    def with_one_only(self) -> Tensor:
        """Return [factors | 1], the derivative of the inner product by the other side's factors and bias."""
        return torch.cat([self.p, torch.ones_like(self.b)], dim=1)

    @staticmethod
    def assembled(of_p_and_b: Tensor, of_m: Tensor) -> Tensor:
        """Return rows from [factors | bias] (n, d + 1) and tower inputs (n, d)."""
        return torch.cat([of_p_and_b[:, :-1], of_m, of_p_and_b[:, -1:]], dim=1)
