"""The four clocks, printed once each, when they strike."""

from __future__ import annotations

import pytest
from rich.console import Console

from cli.clocks import follow, in_words

CLOCKS = ("recorded_at", "suppressed_at", "unlearned_at", "completed_at")


def status(*struck: str, failure: str | None = None) -> dict[str, str | None]:
    """A status document in which these clocks have struck, a quarter of a second apart."""
    times = dict(zip(struck, (f"2026-01-01T12:00:00.{k * 25:02d}Z" for k in range(4)), strict=False))
    return {**dict.fromkeys(CLOCKS), **times, "failure": failure}


def test_every_clock_is_printed_once_with_the_time_since_recorded() -> None:
    console = Console(record=True, width=120)
    documents = [status(*CLOCKS[:1]), status(*CLOCKS[:3]), status(*CLOCKS[:3]), status(*CLOCKS)]
    clocks = follow(console, "a user", documents)
    lines = [line.split() for line in console.export_text().splitlines()]
    assert [line[0] for line in lines] == ["recorded", "suppressed", "unlearned", "completed"]
    assert lines[3][-2:] == ["750", "ms"]
    assert clocks.since_recorded_s("completed") == 0.75


def test_a_clock_that_has_not_struck_has_no_duration() -> None:
    clocks = follow(Console(quiet=True), "a user", [status("recorded_at")])
    assert clocks.since_recorded_s("completed") is None


def test_a_failed_run_is_told_once() -> None:
    console = Console(record=True, width=120)
    follow(console, "a user", [status("recorded_at", failure="not converged")] * 3)
    assert console.export_text().count("not converged") == 1


@pytest.mark.parametrize(("seconds", "words"), [(None, "never"), (0.0304, "30 ms"), (1.5, "1.50 s")])
def test_durations_are_given_in_the_unit_people_use(seconds: float | None, words: str) -> None:
    assert in_words(seconds) == words
