"""`alteraser verify`: offline, strict, and plain about what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli.errors import FileUnreadable
from cli.receipts import verified
from ledger.errors import ReceiptInvalid
from ledger.receipts import SigningKey, jwks

CLAIMS = {"iss": "alteraser", "jti": "1", "iat": 1_700_000_000, "sub": "b2c4", "request_id": "7"}


@pytest.fixture
def keys(secrets_dir: Path, tmp_path: Path) -> Path:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(jwks(secrets_dir)))
    return path


@pytest.fixture
def receipt(secrets_dir: Path, tmp_path: Path) -> Path:
    path = tmp_path / "receipt.jws"
    path.write_text(SigningKey.load(secrets_dir).sign(CLAIMS) + "\n")
    return path


def test_a_receipt_verifies_against_a_saved_key_set(receipt: Path, keys: Path) -> None:
    assert verified(receipt, keys) == CLAIMS


def test_a_receipt_with_one_character_changed_does_not_verify(receipt: Path, keys: Path) -> None:
    header, claims, signature = receipt.read_text().split(".")
    changed = claims[:10] + ("A" if claims[10] != "A" else "B") + claims[11:]
    receipt.write_text(".".join((header, changed, signature)))
    with pytest.raises(ReceiptInvalid):
        verified(receipt, keys)


def test_a_receipt_of_another_deployment_does_not_verify(receipt: Path, tmp_path: Path) -> None:
    SigningKey.create(tmp_path / "others")
    others = tmp_path / "others.json"
    others.write_text(json.dumps(jwks(tmp_path / "others")))
    with pytest.raises(ReceiptInvalid, match="does not hold its key"):
        verified(receipt, others)


@pytest.mark.parametrize("content", ["not json", "[]", '{"keys": 1}'])
def test_a_key_file_that_is_none_is_refused_by_name(receipt: Path, tmp_path: Path, content: str) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(content)
    with pytest.raises(FileUnreadable, match=r"keys\.json"):
        verified(receipt, keys)


def test_a_missing_receipt_is_refused_by_name(keys: Path, tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="nothing here"):
        verified(tmp_path / "nothing here", keys)


def test_the_command_verifies_without_importing_torch(receipt: Path, keys: Path) -> None:
    script = "import sys; from cli.main import main\ntry: main()\nfinally: assert 'torch' not in sys.modules"
    command = [sys.executable, "-c", script, "verify", str(receipt), "--jwks", str(keys)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "the signature is valid" in done.stdout
