"""What every way of forgetting leaves of every target in every shadow: what membership is then inferred from.

A member was trained on and then forgotten by the treatment; with somebody who is no member the treatment is given to
another target, so that the attacker has to say *who* was forgotten and not *that* something was. ``retrained`` compares
shadows that never had the target with freshly trained ones that never had it either: what an attack finds there is
chance, and is the yardstick for the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from alteraser.eraser import TOLERANCE
from alteraser.perturbation import fresh_noise
from alteraser.snapshot import Snapshot
from benchmarks.canaries import Target
from benchmarks.membership import Observed
from benchmarks.shadows import Plan, Shadow, dropped, unlearned
from benchmarks.traces import traces_of

Treatment: TypeAlias = Callable[[Snapshot, str], Snapshot]
"""From a model and a user to the model that has forgotten the user, as far as it has."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told of the shadows done and of how many there are."""

AUDIT = 1e-6
"""Tolerance of ``unlearned-audit``."""

TREATMENTS: Mapping[str, Treatment] = MappingProxyType(
    {
        "do-nothing": lambda model, _user: model,
        "drop-row": lambda model, user: dropped(model, [user]),
        "unlearned": lambda model, user: unlearned(model, [user], TOLERANCE, fresh_noise()),
        "unlearned-bare": lambda model, user: unlearned(model, [user], TOLERANCE),
        "unlearned-audit": lambda model, user: unlearned(model, [user], AUDIT),
    }
)
RETRAINED = "retrained"


def silently(_done: int, _of: int) -> None:
    """Tell nobody."""


def observed(
    plan: Plan,
    targets: Sequence[Target],
    n_shadows: int,
    progress: Progress = silently,
    treatments: Sequence[str] = tuple(TREATMENTS),
) -> dict[str, dict[str, list[Observed]]]:
    """Train the shadows and treat them.

    Args:
        plan: What they are trained on; its pool is the targets.
        targets: Whose traces are looked for.
        n_shadows: How many shadows; as many again are trained for ``retrained``.
        progress: Told after every shadow.
        treatments: Names of `TREATMENTS`.

    Returns:
        By method and group, the targets of the group.
    """
    notes = _Notes(plan, targets)
    for k, shadow in enumerate(plan.shadows(n_shadows, stream=0)):
        _look_at_treated(notes, k, shadow, treatments, np.random.default_rng([plan.seed, 2, k]))
        progress(k + 1, 2 * n_shadows)
    for k, shadow in enumerate(plan.shadows(n_shadows, stream=1)):
        for target in targets:
            if target.user not in shadow.members:
                notes.add(RETRAINED, target, k, shadow.snapshot, member=True)
        progress(n_shadows + k + 1, 2 * n_shadows)
    return notes.by_method_and_group()


class _Notes:
    """Traces as they are found, by method and target."""

    def __init__(self, plan: Plan, targets: Sequence[Target]) -> None:
        self._items = {target.user: plan.data.items_of(target.user) for target in targets}
        self.targets = targets
        self._found: dict[tuple[str, Target], list[tuple[int, bool, dict[str, float]]]] = defaultdict(list)

    def add(self, method: str, target: Target, model: int, snapshot: Snapshot, *, member: bool) -> None:
        """Look for a target in a model."""
        self._found[method, target].append((model, member, traces_of(snapshot, self._items[target.user])))

    def by_method_and_group(self) -> dict[str, dict[str, list[Observed]]]:
        """Return the columns."""
        columns: dict[str, dict[str, list[Observed]]] = defaultdict(lambda: defaultdict(list))
        for (method, target), found in self._found.items():
            models, members, traces = zip(*found, strict=True)
            statistics = {name: np.array([each[name] for each in traces]) for name in traces[0]}
            columns[method][target.group].append(Observed(statistics, np.array(members), np.array(models)))
        return {method: dict(groups) for method, groups in columns.items()}


def _look_at_treated(
    notes: _Notes, k: int, shadow: Shadow, treatments: Sequence[str], generator: np.random.Generator
) -> None:
    """Treat a shadow for each of its members, and look in the result for the member and for those who are none."""
    forgotten = _forgotten(notes.targets, shadow, generator)
    for method in treatments:
        for user, sought in forgotten.items():
            treated = TREATMENTS[method](shadow.snapshot, user)
            for target in sought:
                notes.add(method, target, k, treated, member=target.user == user)
    for target in notes.targets:
        if target.user not in shadow.members:
            notes.add(RETRAINED, target, k, shadow.snapshot, member=False)


def _forgotten(targets: Sequence[Target], shadow: Shadow, generator: np.random.Generator) -> dict[str, list[Target]]:
    """Who is looked for once somebody is forgotten: a member once it is itself, all others once a random member is."""
    members = sorted(shadow.members)
    sought: dict[str, list[Target]] = {user: [] for user in members}
    for target in targets:
        user = target.user if target.user in shadow.members else str(generator.choice(members))
        sought[user].append(target)
    return sought
