"""Connecting: one driver, and no password in sight."""

from __future__ import annotations

import pytest

from ledger.database import connect


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_both_spellings_use_the_same_driver_and_hide_the_password(scheme: str) -> None:
    database = connect(f"{scheme}://clerk:hunter2@db.example/ledger")
    assert database.engine.driver == "psycopg"
    assert "hunter2" not in repr(database)
    assert "hunter2" not in str(database.engine.url)
