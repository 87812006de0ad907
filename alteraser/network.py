"""The whole of `neumf`'s scoring at one set of parameters: s(u, i) = p_u . q_i + b_u + b'_i + tower(m_u + m'_i)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from alteraser.model import Parameters
from alteraser.rows import Rows
from alteraser.terms import Chunk, Terms
from alteraser.tower import Activations, Weights


@dataclass(frozen=True, slots=True)
class Network:
    """Parameters as the network sees them, in any precision.

    Attributes:
        users: The users' rows.
        items: The items' rows.
        weights: The tower's weights.
        user_m: (n_users, d) the users' tower inputs, contiguous.
        item_m: (n_items, d) the items'.
    """

    users: Rows
    items: Rows
    weights: Weights
    user_m: Tensor
    item_m: Tensor

    @classmethod
    def of(cls, at: Parameters) -> Network:
        """Return the network with these parameters."""
        users, items = Rows(at.users), Rows(at.items)
        return cls(users, items, Weights.of(at.shared, users.d), users.m.contiguous(), items.m.contiguous())

    def inner_products(self, terms: Terms) -> Tensor:
        """Return ``p_u . q_i + b_u + b'_i`` for every term, (n,) by user."""
        return terms.pattern.sample(self.users.with_bias, self.items.with_one)

    def activations(self, own: Tensor, other: Tensor) -> Activations:
        """Return the tower's activations for pairs.

        Args:
            own: (n,) int32 user rows.
            other: (n,) int32 item rows.
        """
        x = self.user_m.index_select(0, own).add_(self.item_m.index_select(0, other))
        return Activations.of(self.weights, x)

    def outputs(self, terms: Terms) -> Tensor:
        """Return s of every term, (n,) by user."""
        outputs = self.inner_products(terms)
        for chunk in terms.chunks:
            outputs[chunk.pairs] += self.of_chunk(chunk).output(self.weights)
        return outputs

    def of_chunk(self, chunk: Chunk) -> Activations:
        """Return the tower's activations for a chunk of the terms by user."""
        return self.activations(chunk.own, chunk.other)

    def transposed(self) -> Network:
        """Return the same network with users and items in each other's place, for terms by item."""
        return Network(self.items, self.users, self.weights, self.item_m, self.user_m)
