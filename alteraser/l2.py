"""L2 of blocks: rows around 0, the shared vector around where it started."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from alteraser.model import Parameters


@dataclass(frozen=True, slots=True)
class L2:
    """The L2 terms, sums of ``l2 / 2 |row|^2`` over rows and of ``l2 / 2 (w - w_0)^2`` over the network's weights.

    Attributes:
        users: (n_users,) float64.
        items: (n_items,) float64.
        shared: (n_weights,) float64.
        centre: (n_weights,) float64, w_0.
    """

    users: Tensor
    items: Tensor
    shared: Tensor
    centre: Tensor

    def times(self, direction: Parameters) -> Parameters:
        """Return the Hessian of the L2 terms times a direction, in its precision."""
        of_users, of_items = self.users.to(direction.users)[:, None], self.items.to(direction.items)[:, None]
        shared = self.shared.to(direction.shared) * direction.shared
        return Parameters(of_users * direction.users, of_items * direction.items, shared)

    def gradient(self, at: Parameters) -> Parameters:
        """Return the gradient of the L2 terms, in the precision of ``at``."""
        return self.times(self._off_centre(at))

    def value(self, at: Parameters) -> float:
        """Return the L2 terms' sum, in float64."""
        moved, l2 = self._off_centre(at).flat().double(), self.gradient(at).flat().double()
        return 0.5 * float(moved @ l2)

    def _off_centre(self, at: Parameters) -> Parameters:
        return replace(at, shared=at.shared - self.centre.to(at.shared))
