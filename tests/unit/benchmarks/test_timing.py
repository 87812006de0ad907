"""Clocks that stop, and cheap work done several times."""

from __future__ import annotations

from time import sleep

import pytest

from benchmarks import timing
from benchmarks.timing import REPEATS, Clock, Timings, timed


def test_a_clock_counts_only_inside_its_blocks() -> None:
    clock = Clock()
    with clock:
        sleep(0.01)
    once = clock.seconds
    sleep(0.02)
    assert clock.seconds == once >= 0.01
    with clock:
        sleep(0.01)
    assert clock.seconds >= once + 0.01


def test_a_clock_counts_what_failed_too() -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="stopped"), clock:
        raise ValueError("stopped")
    assert clock.seconds > 0


def test_cheap_work_is_timed_several_times_and_its_last_result_kept() -> None:
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        return len(calls)

    result, seconds = timed(work)
    assert result == len(seconds) == REPEATS


def test_dear_work_is_timed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "CHEAP_S", 0.0)
    _, seconds = timed(lambda: None)
    assert len(seconds) == 1


def test_the_median_is_the_middle_one() -> None:
    assert Timings([3.0, 1.0, 9.0]).median == 3.0
