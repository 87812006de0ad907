"""How long something took: a clock that can be stopped while something else is measured, and repeated timings."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")

REPEATS = 5
CHEAP_S = 1.0
"""What takes less than this is timed `REPEATS` times."""


class Clock:
    """Wall seconds spent inside its ``with`` blocks.

    Attributes:
        seconds: The sum over the blocks that have ended.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._started = 0.0

    def __enter__(self) -> Clock:
        """Go on counting."""
        self._started = perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop counting."""
        self.seconds += perf_counter() - self._started


class Timings(list[float]):
    """Wall seconds of the same work done several times."""

    @property
    def median(self) -> float:
        """Return the middle one."""
        return median(self)


def timed(work: Callable[[], T]) -> tuple[T, Timings]:
    """Do the work, again where it is cheap, and return what it gave the last time with every duration."""
    timings = Timings()
    while not timings or (timings[0] < CHEAP_S and len(timings) < REPEATS):
        start = perf_counter()
        result = work()
        timings.append(perf_counter() - start)
    return result, timings
