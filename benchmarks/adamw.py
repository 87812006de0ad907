"""The first-order control: AdamW on the retained objective from the warm start, tuned in its favour.

Full gradients in float64, weight decay 0 (the objective has its own L2), learning rates falling linearly to zero. Of
all learning rates the one that ends with the least residual influence counts, which nobody could choose without the
oracle, and only its own seconds are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from alteraser.eraser import Forgetting
from alteraser.model import Parameters
from alteraser.train import CPU
from benchmarks.case import Case
from benchmarks.timing import Clock

LEARNING_RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
"""The best one should lie inside: the JSON has the influence that each ended with."""

STEPS = 200

BUDGET_S = 30.0
"""Per learning rate; where steps are slow there are fewer of them."""

LOOKS = frozenset({1, 2, 3, 5, 8, 12, 20, 30, 50, 75, 100, 150})
"""Steps after which the influence is looked at, besides the last."""


@dataclass(frozen=True, slots=True, eq=False)
class Descent:
    """One run of AdamW.

    Attributes:
        learning_rate: At its start.
        parameters: Where it ended.
        seconds: All of it, from parent and deletions on.
        steps: Gradients taken.
        curve: (seconds, influence) on the way, the end included.
    """

    learning_rate: float
    parameters: Parameters
    seconds: float
    steps: int
    curve: tuple[tuple[float, float], ...]

    @property
    def left(self) -> float:
        """The influence at the end."""
        return self.curve[-1][1]


def descent(case: Case, learning_rate: float, influence: Callable[[Parameters], float]) -> Descent:
    """Run AdamW with one learning rate; ``influence`` is measured with the clock stopped."""
    clock = Clock()
    with clock:
        forgetting = Forgetting.of(case.parent, case.deletions, CPU)
        blocks = [forgetting.warm.users.clone(), forgetting.warm.items.clone(), forgetting.warm.shared.clone()]
        at = Parameters(*blocks)
        moving = [block for block in blocks if block.numel()]
        optimiser = torch.optim.AdamW(moving, lr=learning_rate, weight_decay=0.0)
    curve: list[tuple[float, float]] = []
    steps, step = STEPS, 0
    while step < steps:
        with clock:
            optimiser.param_groups[0]["lr"] = learning_rate * (1 - step / steps)
            _, gradient = forgetting.objective.value_and_gradient(at)
            slopes = (slope for slope in (gradient.users, gradient.items, gradient.shared) if slope.numel())
            for block, slope in zip(moving, slopes, strict=True):
                block.grad = slope
            optimiser.step()
        step += 1
        if step == 1:
            steps = max(min(STEPS, int(BUDGET_S / clock.seconds)), 1)
        if step in LOOKS or step == steps:
            curve.append((clock.seconds, influence(at)))
    return Descent(learning_rate, at, clock.seconds, steps, tuple(curve))
