"""Migrations take nothing away that the release before uses, so that both can work during an upgrade."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ledger.database import SCHEMA_REVISION

REVISIONS = sorted(Path("migrations/versions").glob("r*.py"))
TAKING_AWAY = re.compile(r"drop_(table|column)|rename_table|new_column_name|DROP (TABLE|COLUMN)|RENAME")


def upgrade_of(revision: Path) -> str:
    """The source of a revision's way up."""
    text = revision.read_text()
    (upgrade,) = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "upgrade")
    return ast.get_source_segment(text, upgrade) or ""


@pytest.mark.parametrize("revision", REVISIONS, ids=lambda revision: revision.stem)
def test_a_migration_only_adds(revision: Path) -> None:
    assert not TAKING_AWAY.search(upgrade_of(revision)), "take it away one release after the last that uses it"


def test_revisions_are_numbered_so_that_a_later_one_is_known_as_such() -> None:
    numbers = [revision.name[1:5] for revision in REVISIONS]
    assert numbers == [f"{number:04}" for number in range(1, len(REVISIONS) + 1)]
    assert numbers[-1] == SCHEMA_REVISION
