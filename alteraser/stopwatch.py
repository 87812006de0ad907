"""How long each phase took. Durations only: what time it is, the algorithm does not know."""

from __future__ import annotations

from time import perf_counter


class Stopwatch:
    """Wall-clock seconds by phase.

    Attributes:
        seconds: Phase to seconds, in the order they were first ended.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = perf_counter()

    def end(self, phase: str) -> None:
        """Count the time since the last phase ended to this one."""
        now = perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now
