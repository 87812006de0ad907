"""Pseudonyms depend on the key and on what they stand for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.errors import SecretMalformed, SecretMissing
from ledger.pseudonym import Pseudonyms


def test_a_pseudonym_is_the_same_every_time_and_hides_the_id(tmp_path: Path) -> None:
    created = Pseudonyms.create(tmp_path / "secrets")
    loaded = Pseudonyms.load(tmp_path / "secrets")
    assert loaded.user("42") == created.user("42")
    assert "42" not in {loaded.user("42"), loaded.item("42")}
    assert len(loaded.user("42")) == 64


def test_users_items_and_payloads_do_not_share_pseudonyms() -> None:
    pseudonyms = Pseudonyms(b"k" * 32)
    assert len({pseudonyms.user("42"), pseudonyms.item("42"), pseudonyms.payload(b"42")}) == 3


def test_another_key_gives_another_pseudonym() -> None:
    assert Pseudonyms(b"k" * 32).user("42") != Pseudonyms(b"l" * 32).user("42")


def test_the_key_is_never_shown_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    pseudonyms = Pseudonyms.create(tmp_path)
    assert pseudonyms.key.hex() not in repr(pseudonyms)
    assert (tmp_path / "subject.key").stat().st_mode & 0o077 == 0


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    Pseudonyms.create(tmp_path)
    with pytest.raises(FileExistsError):
        Pseudonyms.create(tmp_path)


def test_without_a_key_nothing_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(SecretMissing, match=r"subject\.key"):
        Pseudonyms.load(tmp_path)


@pytest.mark.parametrize("content", ["", "zz" * 32, "ab" * 31, "é" * 64])
def test_a_malformed_key_is_refused_without_being_repeated(tmp_path: Path, content: str) -> None:
    (tmp_path / "subject.key").write_text(content, encoding="utf-8")
    with pytest.raises(SecretMalformed, match="32 bytes") as refused:
        Pseudonyms.load(tmp_path)
    assert not content or content not in str(refused.value)
