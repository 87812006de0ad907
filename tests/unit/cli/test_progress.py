"""Progress, with and without a terminal."""

from __future__ import annotations

import pytest
from rich.console import Console

from cli import progress
from cli.progress import shown


@pytest.mark.parametrize("is_terminal", [True, False])
def test_what_was_told_last_stays_with_the_time_it_took(is_terminal: bool) -> None:
    console = Console(record=True, width=100, force_terminal=is_terminal)
    with shown(console, "counting") as tell:
        tell(1, 2, "half")
        tell(2, 2, "everything")
    assert "counting: everything, 0.0 s" in console.export_text()


def test_without_a_terminal_a_line_is_printed_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    console = Console(record=True, width=100, force_terminal=False)
    with shown(console, "counting") as tell:
        for step in range(3):
            tell(step, 3, f"step {step}")
    assert [f"step {step} ..." in console.export_text(clear=False) for step in range(3)] == [True] * 3


def test_an_error_inside_is_passed_on_and_nothing_is_called_done() -> None:
    console = Console(record=True, width=100)
    with pytest.raises(ZeroDivisionError), shown(console, "dividing"):
        1 / 0  # noqa: B018 (it raises)
    assert "dividing: " not in console.export_text()
