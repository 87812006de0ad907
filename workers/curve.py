"""A run's residual curve on its way to the ledger: thinned, so that a run of any length leaves a few hundred points."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from alteraser.model import Progress
from ledger.progress import Point

TELL_EVERY_S = 0.25
"""How soon a watcher sees a point. Telling takes the ledger a millisecond or two."""
APART = 1 / 64
"""Points are at least this share of the run's age apart: the longer it runs, the further."""


class Curve:
    """What the solver has said of the residual, and the ledger has not been told yet."""

    def __init__(self) -> None:
        self._began_at = monotonic()
        self._told_at = -TELL_EVERY_S
        self._kept_at = -1.0
        self._kept_phase = self._told_phase = ""
        self._n_told = 0
        self._untold: list[Point] = []

    def note(self, progress: Progress) -> None:
        """Keep what was said, where it says a residual and the last point is old enough or of another phase."""
        if progress.residual is None:
            return
        elapsed_s = monotonic() - self._began_at
        if progress.phase == self._kept_phase and elapsed_s - self._kept_at < elapsed_s * APART:
            return
        self._untold.append(Point(elapsed_s, progress.phase, progress.step, progress.residual))
        self._kept_at, self._kept_phase = elapsed_s, progress.phase

    def is_due(self) -> bool:
        """Whether the ledger should be told now: enough time has passed, or another phase has begun."""
        if not self._untold:
            return False
        is_next = self._kept_phase != self._told_phase
        return is_next or monotonic() - self._began_at - self._told_at >= TELL_EVERY_S

    def take(self) -> tuple[int, Sequence[Point]]:
        """The points to tell now, and the place of the first of them in the curve."""
        first, points = self._n_told, self._untold
        self._untold = []
        self._n_told += len(points)
        self._told_at = monotonic() - self._began_at
        self._told_phase = self._kept_phase
        return first, points
