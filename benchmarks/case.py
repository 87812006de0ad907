"""One deletion to be measured: the live model, what is to be forgotten, and what every method is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from alteraser.deletions import Deletions
from alteraser.eraser import Forgetting
from alteraser.interactions import Interactions
from alteraser.kinds import kind as kind_of
from alteraser.model import ModelKind, Objective, Parameters
from alteraser.snapshot import Snapshot
from alteraser.train import CPU
from benchmarks.score_distance import Pairs


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One deletion. Nothing here is timed: a method starts from `parent` and `deletions` alone.

    Attributes:
        parent: The live model.
        deletions: What is to be forgotten.
        kept: The interactions without it.
        test: What the kept users should be recommended; None where the data has no such part.
        objective: Over the kept interactions, for judging.
        before: The live model's blocks of the kept rows: what doing nothing serves.
        left_behind: Norm of the gradient at `before`.
        affected: The pairs of touched items with all kept users; where no kept item was touched (an item was
            forgotten), of touched users with all kept items.
    """

    parent: Snapshot
    deletions: Deletions
    kept: Interactions
    test: Interactions | None
    objective: Objective
    before: Parameters
    left_behind: float
    affected: Pairs

    @classmethod
    def of(cls, parent: Snapshot, deletions: Deletions, test: Interactions | None) -> Case:
        """Return the case of these deletions; ``test`` is over the parent's vocabularies."""
        forgetting = Forgetting.of(parent, deletions, CPU)
        users, items = forgetting.changed_users, forgetting.changed_items
        _, gradient = forgetting.objective.value_and_gradient(forgetting.warm)
        return cls(
            parent=parent,
            deletions=deletions,
            kept=forgetting.kept,
            test=None if test is None else test.over(forgetting.kept.users, forgetting.kept.items),
            objective=forgetting.objective,
            before=forgetting.warm,
            left_behind=gradient.norm(),
            affected=Pairs(items=items) if len(items) else Pairs(users=users),
        )

    @property
    def kind(self) -> ModelKind:
        """The kind of the live model."""
        return kind_of(self.parent.kind)

    def value(self, at: Parameters) -> float:
        """Return the objective over the kept interactions."""
        return self.objective.value_and_gradient(at)[0]

    def removed(self) -> dict[str, Any]:
        """Return how much is forgotten, and how many kept rows that touches."""
        before = self.parent.interactions
        return {
            "users": before.n_users - self.kept.n_users,
            "items": before.n_items - self.kept.n_items,
            "interactions": len(before) - len(self.kept),
            "left_behind": self.left_behind,
        }
