"""Phases are timed from the end of the one before."""

from __future__ import annotations

from time import perf_counter

from alteraser.stopwatch import Stopwatch


def test_phases_stand_in_their_order_and_add_up_to_the_time_passed() -> None:
    before = perf_counter()
    clock = Stopwatch()
    for phase in ("index", "newton", "index"):
        clock.end(phase)
    assert list(clock.seconds) == ["index", "newton"]
    assert 0 < sum(clock.seconds.values()) <= perf_counter() - before
