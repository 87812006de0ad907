"""What the solvers know of a model: its blocks, and the small protocol every model kind implements.

Every objective is a *sum* over interactions plus L2, never a mean, so that a tolerance relative to a gradient
means the same for one deleted row and for a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alteraser.interactions import Interactions

Hyperparameters: TypeAlias = Mapping[str, int | float | str]
Side: TypeAlias = Literal["users", "items"]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The model's parameters as blocks: one row per user, one per item, and one vector all share.

    Attributes:
        users: (n_users, d_user) float64, row r belongs to `Interactions.users.ids[r]`.
        items: (n_items, d_item) float64, likewise.
        shared: (n_shared,) float64; empty where the kind has no shared network.
    """

    users: Tensor
    items: Tensor
    shared: Tensor

    def plus(self, step: Parameters) -> Parameters:
        """Return these parameters moved by ``step``."""
        return Parameters(self.users + step.users, self.items + step.items, self.shared + step.shared)

    def norm(self) -> float:
        """Return the Euclidean norm over all blocks."""
        return float(torch.sqrt(sum_of_squares(self.users, self.items, self.shared)))

    def worst_block(self) -> float:
        """Return the largest Euclidean norm of a single block."""
        norms = [block.norm(dim=-1).max() for block in (self.users, self.items) if block.numel()]
        norms += [self.shared.norm()] if self.shared.numel() else []
        return max((float(norm) for norm in norms), default=0.0)

    def to(self, device: torch.device) -> Parameters:
        """Return the same parameters on another device."""
        return Parameters(self.users.to(device), self.items.to(device), self.shared.to(device))


def sum_of_squares(*tensors: Tensor) -> Tensor:
    """Return the sum of squares over all entries, accumulated in float64."""
    total = torch.zeros((), dtype=torch.float64, device=tensors[0].device)
    for tensor in tensors:
        total = total + tensor.double().square().sum()
    return total


class NewtonSystem(Protocol):
    """The Newton equations at one iterate, as conjugate gradients see them: flat float32 vectors.

    A kind may eliminate blocks exactly (a Schur complement): then m counts the unknowns that are left, and the
    right-hand side and the products are the reduced ones.
    """

    @property
    def right_hand_side(self) -> Tensor:
        """Return minus the (reduced) gradient, (m,) float32."""

    @property
    def eliminated_decrease(self) -> float:
        """Return what the quadratic model gains from the eliminated blocks alone; 0 where there are none."""

    def multiply(self, v: Tensor) -> Tensor:
        """Return the exact (reduced) Hessian times ``v``, both (m,) float32."""

    def precondition(self, r: Tensor) -> Tensor:
        """Return an approximate inverse of the (reduced) Hessian times ``r``, both (m,) float32.

        Symmetric, positive semi-definite, and zero on directions that leave the objective as it is.
        """

    def expand(self, v: Tensor) -> Parameters:
        """Return the full step in float64, eliminated blocks included, for the (reduced) step ``v`` (m,)."""


class Objective(Protocol):
    """The training objective over one set of interactions: a sum over interactions plus L2.

    Attributes:
        passes: How often the interactions have been gone through, by any method of this object.
    """

    passes: int

    def value_and_gradient(self, at: Parameters) -> tuple[float, Parameters]:
        """Return the objective and its gradient at ``at``, both computed and reduced in float64."""

    def gradient_scale(self, at: Parameters) -> float:
        """Return the norm of the L2 part of the gradient at ``at``: what the data part balances when stationary."""

    def solve_blocks(self, at: Parameters, side: Side, rows: NDArray[np.int64] | None = None) -> Parameters:
        """Return ``at`` with blocks of one side replaced by their sub-problems' minimisers, all else fixed.

        Args:
            at: Where the rest is held.
            side: Which blocks.
            rows: Which of them; all when None.
        """

    def linearise(self, at: Parameters, gradient: Parameters, near: NewtonSystem | None) -> NewtonSystem:
        """Return the Newton equations at an iterate.

        Args:
            at: The iterate.
            gradient: The gradient there.
            near: The equations of an iterate so near that what is costly and changes little may be taken from it.
        """


class ModelKind(Protocol):
    """One kind of recommender: what the rest of the product needs to train, unlearn and serve it.

    Attributes:
        name: As it stands in a snapshot's manifest.
    """

    @property
    def name(self) -> str:
        """Return the kind's name as it stands in a snapshot's manifest."""

    def hyperparameters(self, given: Mapping[str, object], data: Interactions) -> Hyperparameters:
        """Return the complete hyper-parameters: those given, the defaults, and constants fixed at training.

        Raises:
            UnknownHyperparameter: A given name is not one of this kind's.
            InvalidHyperparameter: A given value is out of range.
        """

    def initialise(
        self, data: Interactions, hyperparameters: Hyperparameters, generator: torch.Generator
    ) -> Parameters:
        """Return random parameters to train from."""

    def objective(self, data: Interactions, hyperparameters: Hyperparameters, device: torch.device) -> Objective:
        """Return the training objective over ``data``."""

    def scores(self, parameters: Parameters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores (B, n_items) of every item for the users in ``rows`` (B,)."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a solver, told to whoever watches.

    Attributes:
        phase: What is being done: ``sweep``, ``local``, ``newton``, ``conjugate gradients``.
        step: How many steps of this phase are done.
        of: How many there will be, where that is known.
        residual: Relative gradient norm after this step, where it was computed.
    """

    phase: str
    step: int
    of: int | None = None
    residual: float | None = None


Watch: TypeAlias = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Watch nothing."""
