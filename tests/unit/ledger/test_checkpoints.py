"""Checkpoints are signed notes: the published example verifies, and nothing changed does."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger import checkpoints
from ledger.checkpoints import Checkpoint
from ledger.errors import CheckpointInvalid
from ledger.receipts import SigningKey, jwks

ROOT = bytes(range(32))
SEEN = Checkpoint("alteraser/8d3c", 12, ROOT)


def test_a_checkpoint_verifies_with_the_published_keys_past_ones_included(tmp_path: Path) -> None:
    note = checkpoints.signed(SEEN, SigningKey.create(tmp_path))
    SigningKey.create(tmp_path)
    assert checkpoints.verified(note, jwks(tmp_path)) == SEEN


def test_the_text_is_origin_size_and_root_and_the_signature_names_its_key(tmp_path: Path) -> None:
    key = SigningKey.create(tmp_path)
    text, _, signature = checkpoints.signed(SEEN, key).partition("\n\n")
    assert text.split("\n") == ["alteraser/8d3c", "12", base64.b64encode(ROOT).decode()]
    dash, name, content = signature.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", "alteraser/8d3c")
    raw = base64.b64decode(content)
    assert raw[:4] == checkpoints.key_id("alteraser/8d3c", key.public)
    Ed25519PublicKey.from_public_bytes(key.public).verify(raw[4:], f"{text}\n".encode())


def test_the_key_id_is_that_of_the_go_checksum_database() -> None:
    """Its verifier key is `sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8`."""
    key = base64.b64decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")
    assert key[:1] == checkpoints.ED25519
    assert checkpoints.key_id("sum.golang.org", key[1:]).hex() == "033de0ae"


@pytest.mark.parametrize("position", range(0, 150, 7))
def test_one_changed_character_is_noticed(tmp_path: Path, position: int) -> None:
    note = checkpoints.signed(SEEN, SigningKey.create(tmp_path))
    changed = note[:position] + chr(ord(note[position]) ^ 1) + note[position + 1 :]
    with pytest.raises(CheckpointInvalid):
        checkpoints.verified(changed, jwks(tmp_path))


@pytest.mark.parametrize("note", ["", "\n\n", "a\n-1\nx\n\n", "a\n1\nAAAA\n\n— a AAAA\n", "no note"])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, note: str) -> None:
    SigningKey.create(tmp_path)
    with pytest.raises(CheckpointInvalid):
        checkpoints.verified(note, jwks(tmp_path))


def test_another_deployments_checkpoint_is_refused(tmp_path: Path) -> None:
    note = checkpoints.signed(SEEN, SigningKey.create(tmp_path / "theirs"))
    SigningKey.create(tmp_path / "ours")
    with pytest.raises(CheckpointInvalid, match="none of the keys"):
        checkpoints.verified(note, jwks(tmp_path / "ours"))
