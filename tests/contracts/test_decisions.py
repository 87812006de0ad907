"""Decision records and the changelog keep their form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path("docs/decisions")
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))


def test_every_record_is_listed_in_order() -> None:
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (FOLDER / "README.md").read_text())
    assert listed == [record.name for record in RECORDS]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_has_a_status_a_context_a_decision_and_consequences(record: Path) -> None:
    text = record.read_text()
    assert text.startswith(f"# {int(record.name[:4])}. ")
    assert re.findall(r"\*\*(Status|Context|Decision|Consequences)", text) == [
        "Status",
        "Context",
        "Decision",
        "Consequences",
    ]


def test_what_changed_since_the_last_release_has_its_place() -> None:
    assert "## [Unreleased]" in Path("CHANGELOG.md").read_text()
