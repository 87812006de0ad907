"""Models trained with and without each target: what a likelihood ratio is fitted to, and tried on.

One shadow serves every target: it is trained with a random half of them. Shadows come in pairs of opposite halves, so
that every target is in exactly half of them. The users who are no targets may be drawn at random too: then the attacker
does not know whom else the model was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from alteraser.deletions import Deletions
from alteraser.eraser import unlearn
from alteraser.interactions import Interactions
from alteraser.kinds import kind as kind_of
from alteraser.snapshot import Snapshot
from benchmarks.models import PARENT_DIGEST, carried_over, trained_snapshot

STREAM = 100_000
"""Seeds of random starts that one stream of shadows has for itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the shadows of one attack are trained on.

    Attributes:
        kind: Name of the model kind.
        given: Hyper-parameters that differ from the kind's defaults.
        data: Everybody, the canaries included.
        pool: Ids of the targets; a random half of them is in each shadow.
        unknown: Share of the other users of whom a random half is in each shadow; the rest are in every one.
        seed: Of all draws.
    """

    kind: str
    given: Mapping[str, object]
    data: Interactions
    pool: tuple[str, ...]
    unknown: float
    seed: int

    def halves(self, n_pairs: int, stream: int) -> Iterator[frozenset[str]]:
        """Yield the ids that are left out of each shadow, one pair of opposite halves after the other.

        Args:
            n_pairs: How many pairs.
            stream: Another number draws other halves.
        """
        generator = np.random.default_rng([self.seed, stream])
        others = sorted(set(self.data.users.ids) - set(self.pool))
        drawn = _parted(generator, others, self.unknown)[0]
        for _ in range(n_pairs):
            cuts = [_parted(generator, ids, 0.5) for ids in (self.pool, drawn)]
            for side in (0, 1):
                yield frozenset(id for cut in cuts for id in cut[side])

    def shadows(self, n: int, stream: int) -> Iterator[Shadow]:
        """Train that many shadows, rounded up to pairs; their seeds differ."""
        complete = kind_of(self.kind).hyperparameters(self.given, self.data)
        for k, left_out in enumerate(self.halves((n + 1) // 2, stream)):
            data = self.data.without(Deletions(subjects=left_out))
            snapshot = trained_snapshot(self.kind, complete, data, seed=k + STREAM * stream)
            yield Shadow(snapshot, frozenset(self.pool) - left_out)


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """A model and who of the targets it was trained on.

    Attributes:
        snapshot: The model.
        members: Ids of those targets.
    """

    snapshot: Snapshot
    members: frozenset[str]


def dropped(parent: Snapshot, users: Sequence[str]) -> Snapshot:
    """Return the model with the rows of those users dropped and nothing else changed."""
    kept = parent.interactions.without(Deletions(subjects=frozenset(users)))
    return replace(parent, parameters=carried_over(parent, kept), interactions=kept)


def unlearned(
    parent: Snapshot, users: Sequence[str], tolerance: float, noise: torch.Generator | None = None
) -> Snapshot:
    """Return the model as it is once those users are unlearned in one run; the product perturbs it with noise."""
    deletions = Deletions(subjects=frozenset(users))
    done = unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance, noise=noise)
    return done.snapshot


def _parted(generator: np.random.Generator, ids: Sequence[str], share: float) -> tuple[list[str], list[str]]:
    """A random share of the ids, rounded down, and the others."""
    mixed = [ids[place] for place in generator.permutation(len(ids))]
    cut = int(share * len(mixed))
    return mixed[:cut], mixed[cut:]
