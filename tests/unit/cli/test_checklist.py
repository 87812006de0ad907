"""Claims that are checked."""

from __future__ import annotations

from rich.console import Console

from cli.checklist import Checklist


def test_a_claim_found_untrue_is_shown_and_remembered() -> None:
    console = Console(record=True, width=100)
    checks = Checklist(console)
    checks.check("rows: 0", True)
    checks.check("rows [of] nobody: 3", False)
    assert (checks.n_checked, checks.failed) == (2, ["rows [of] nobody: 3"])
    lines = console.export_text().splitlines()
    assert [line.split()[0] for line in lines] == ["true", "FALSE"]
    assert "[of]" in lines[1]
