"""What of a run's residuals reaches the ledger, and when."""

from __future__ import annotations

from itertools import pairwise

import pytest

from alteraser.model import Progress
from workers import curve
from workers.curve import APART, TELL_EVERY_S, Curve


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(curve, "monotonic", clock)
    return clock


def test_the_first_residual_and_each_new_phase_are_told_at_once(clock: Clock) -> None:
    followed = Curve()
    assert not followed.is_due()
    followed.note(Progress("newton", 0, residual=1.0))
    assert followed.is_due()
    assert [point.residual for point in followed.take()[1]] == [1.0]
    clock.now_s += TELL_EVERY_S / 4
    followed.note(Progress("newton", 1, residual=0.5))
    assert not followed.is_due()
    followed.note(Progress("gates", 0, residual=0.5))
    assert followed.is_due()
    first, points = followed.take()
    assert (first, [point.phase for point in points]) == (1, ["newton", "gates"])


def test_what_waits_is_told_when_its_time_has_come(clock: Clock) -> None:
    followed = Curve()
    followed.note(Progress("newton", 0, residual=1.0))
    followed.take()
    followed.note(Progress("newton", 1, residual=0.5))
    clock.now_s += TELL_EVERY_S
    assert followed.is_due()
    assert followed.take()[0] == 1
    assert not followed.is_due()


def test_a_step_without_a_residual_is_no_point(clock: Clock) -> None:
    del clock
    followed = Curve()
    followed.note(Progress("conjugate gradients", 3))
    assert followed.take() == (0, [])


def test_a_run_of_an_hour_leaves_a_few_hundred_points(clock: Clock) -> None:
    followed, began_at = Curve(), clock.now_s
    for step in range(100_000):
        clock.now_s = began_at + 3600 * step / 100_000
        followed.note(Progress("lbfgs", step, residual=1 / (step + 1)))
    _, points = followed.take()
    assert 64 < len(points) < 12 * 64
    gaps = [later.elapsed_s - earlier.elapsed_s for earlier, later in pairwise(points)]
    assert max(gaps) < 3600 * APART + 1
