"""What the ops page makes of values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.page import figure, moment, seconds, short, since, small, span

START = datetime(2026, 1, 1, 12, 0, 0, 5_000, tzinfo=UTC)


def test_moments_and_spans_are_told_to_the_millisecond() -> None:
    assert moment(START) == "2026-01-01 12:00:00.005"
    assert since(START + timedelta(milliseconds=42), START) == "+42 ms"
    assert since(START + timedelta(hours=1, milliseconds=500), START) == "+3,600.50 s"


def test_what_is_not_there_is_told_alike() -> None:
    nothing = {moment(None), since(None, START), short(None), small(None), seconds(None), figure(None)}
    assert nothing == {"–"}


def test_names_are_cut_and_residuals_rounded() -> None:
    assert short("0123456789abcdef") == "0123456789ab"
    assert small(0.000123456) == "1.23e-04"


def test_how_far_off_a_moment_is_is_told_in_its_two_largest_units() -> None:
    far = {"29 d 23 h": timedelta(days=30, seconds=-1), "1 h 5 min": timedelta(minutes=65), "3 s": timedelta(seconds=3)}
    for said, off in far.items():
        assert span(START + off, START) == span(START, START + off) == said


def test_figures_are_rounded_and_grouped_and_truths_are_told() -> None:
    assert [figure(value) for value in (1234567, 0.123456, 1e-12, True, "wmf")] == [
        "1,234,567",
        "0.1235",
        "1e-12",
        "True",
        "wmf",
    ]
