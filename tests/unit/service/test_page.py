"""What the ops page makes of values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from service.page import moment, short, since, small

START = datetime(2026, 1, 1, 12, 0, 0, 5_000, tzinfo=UTC)


def test_moments_and_spans_are_told_to_the_millisecond() -> None:
    assert moment(START) == "2026-01-01 12:00:00.005"
    assert since(START + timedelta(milliseconds=42), START) == "+42 ms"
    assert since(START + timedelta(hours=1, milliseconds=500), START) == "+3,600.50 s"


def test_what_is_not_there_is_told_alike() -> None:
    assert {moment(None), since(None, START), short(None), small(None)} == {"–"}


def test_names_are_cut_and_residuals_rounded() -> None:
    assert short("0123456789abcdef") == "0123456789ab"
    assert small(0.000123456) == "1.23e-04"
