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

from alteraser.certificate import Certificate
from alteraser.interactions import Interactions

Hyperparameters: TypeAlias = Mapping[str, int | float | str]
Side: TypeAlias = Literal["users", "items", "shared"]
Solver: TypeAlias = Literal["newton", "lbfgs"]


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

    def flat(self) -> Tensor:
        """Return all blocks as one vector: users, items, shared."""
        return torch.cat([self.users.reshape(-1), self.items.reshape(-1), self.shared])

    def shaped(self, flat: Tensor) -> Parameters:
        """Return a vector in the order of `flat` as blocks of the shapes that these have."""
        n, m = self.users.numel(), self.items.numel()
        return Parameters(flat[:n].view_as(self.users), flat[n : n + m].view_as(self.items), flat[n + m :])

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

    A kind may eliminate blocks exactly (a Schur complement): then m counts the unknowns that are left, the right-hand
    side and the products are the reduced ones, and `expand` gives the eliminated blocks their steps.
    """

    @property
    def right_hand_side(self) -> Tensor:
        """Return minus the (reduced) gradient, (m,) float32."""

    def multiply(self, v: Tensor) -> Tensor:
        """Return the exact (reduced) Hessian times ``v``, both (m,) float32."""

    def precondition(self, r: Tensor) -> Tensor:
        """Return an approximate inverse of the (reduced) Hessian times ``r``, both (m,) float32.

        Symmetric, positive semi-definite, and zero on directions that leave the objective as it is.
        """

    def expand(self, v: Tensor) -> Parameters:
        """Return the full step in float64, eliminated blocks included, for the (reduced) step ``v`` (m,)."""


@dataclass(frozen=True, slots=True)
class RemovedTerms:
    """What a deletion takes out of the objective, in rows of the parent.

    Attributes:
        before: The parent's parameters.
        users: (n,) the users of the removed pairs.
        items: (n,) their items.
        kept_users: (n_users_before,) the row that a user has among those kept; -1 where it left.
        kept_items: (n_items_before,) likewise.
    """

    before: Parameters
    users: Tensor
    items: Tensor
    kept_users: Tensor
    kept_items: Tensor


@dataclass(frozen=True, slots=True)
class LocalStep:
    """A step of a few blocks.

    Attributes:
        user_rows: (m,) which users.
        users: (m, d_user) float64, what is added to them.
        item_rows: (k,) which items.
        items: (k, d_item) float64.
        gradient: Euclidean norm of the gradient on these blocks before the step: what the deletion left behind.
        worst_block: The largest of their norms.
    """

    user_rows: Tensor
    users: Tensor
    item_rows: Tensor
    items: Tensor
    gradient: float
    worst_block: float


class Objective(Protocol):
    """The training objective over one set of interactions: a sum over interactions plus L2.

    Attributes:
        passes: How often the interactions have been gone through, by any method of this object.
        sides: Which blocks a sweep solves, one after the other.
        solver: What minimises it with fewest passes.
        outgrown: The last equations showed a direction of descent that only more latent dimensions could take.
    """

    passes: int
    outgrown: bool

    @property
    def sides(self) -> tuple[Side, ...]:
        """Return which blocks a sweep solves, one after the other."""

    @property
    def solver(self) -> Solver:
        """Return what minimises it with fewest passes."""

    def value_and_gradient(self, at: Parameters) -> tuple[float, Parameters]:
        """Return the objective and its gradient at ``at``, both computed and reduced in float64."""

    def gradient_scale(self, at: Parameters) -> float:
        """Return the norm of the L2 part of the gradient at ``at``: what the data part balances when stationary."""

    def solve_blocks(self, at: Parameters, side: Side) -> Parameters:
        """Return ``at`` with the blocks of one side replaced by their sub-problems' minimisers, all else fixed."""

    def prepare(self, at: Parameters) -> None:
        """Do what `local_step` from ``at`` needs and what costs as much as the model is large."""

    def local_step(self, at: Parameters, removed: RemovedTerms) -> LocalStep:
        """Return one step of the blocks that lost terms, towards their sub-problems' minimisers.

        Costs as much as the deletion is large, whatever the size of the model, once `prepare` was called for ``at``.

        Args:
            at: The parent's blocks of the rows that are kept; stationary before the terms were taken away.
            removed: What the deletion took away.
        """

    def fit_width(self, at: Parameters) -> Parameters:
        """Return ``at`` with as many latent dimensions as the objective has a use for; itself if it has them.

        Where it differs, ``at`` was not the global minimum or held dimensions without use, and solving goes on from it.
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

    def certify(
        self, parameters: Parameters, data: Interactions, hyperparameters: Hyperparameters
    ) -> Certificate | None:
        """Return what is proven of the scores against every full retraining on ``data``; None if the kind has no proof.

        Takes part in nothing that made the parameters.
        """

    def distance(self, before: Parameters, after: Parameters) -> float:
        """Return ``|X_before - X_after|_F`` over the scores of all users and items; both have the same rows."""

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
        objective: Value of the objective after this step, where it was computed.
    """

    phase: str
    step: int
    of: int | None = None
    residual: float | None = None
    objective: float | None = None


Watch: TypeAlias = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Watch nothing."""
