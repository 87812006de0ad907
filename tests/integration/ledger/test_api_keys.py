"""API keys: made once, kept as hashes, revoked for good."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from ledger import api_keys
from ledger.database import Database, unit_of_work
from ledger.errors import UnknownScope


def test_a_key_tells_who_holds_it_until_it_is_revoked(database: Database) -> None:
    with unit_of_work(database) as session:
        token = api_keys.create(session, "shop", "web", ["recommend", "deletion:create"])
    with unit_of_work(database) as session:
        caller = api_keys.authenticate(session, token)
        assert caller is not None
        assert caller.tenant == "shop"
        assert caller.scopes == {"recommend", "deletion:create"}
        assert api_keys.revoke(session, caller.key_id)
        assert not api_keys.revoke(session, caller.key_id)
        assert api_keys.authenticate(session, token) is None


@pytest.mark.parametrize("token", ["", "ak_wrong", "nul\0character"])
def test_nobody_holds_a_key_that_was_never_made(database: Database, token: str) -> None:
    with unit_of_work(database) as session:
        api_keys.create(session, "shop", "web", ["recommend"])
        assert api_keys.authenticate(session, token) is None


def test_only_the_hash_is_kept(database: Database) -> None:
    with unit_of_work(database) as session:
        token = api_keys.create(session, "shop", "web", ["recommend"])
        row = session.execute(text("SELECT * FROM api_keys")).one()
    assert token not in str(row)
    assert token.startswith("ak_")


def test_a_right_that_does_not_exist_is_not_granted(database: Database) -> None:
    with unit_of_work(database) as session, pytest.raises(UnknownScope, match="deletion:create"):
        api_keys.create(session, "shop", "web", ["everything"])


def test_keys_are_listed_without_the_keys(database: Database) -> None:
    with unit_of_work(database) as session:
        api_keys.create(session, "shop", "first", ["recommend"])
        api_keys.create(session, "shop", "second", ["ops:read"])
    with unit_of_work(database) as session:
        assert [key.name for key in api_keys.listed(session)] == ["first", "second"]


def test_a_key_nobody_made_cannot_be_revoked(database: Database) -> None:
    with unit_of_work(database) as session:
        assert not api_keys.revoke(session, uuid4())
