"""Receipts verify with the published keys and with nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from ledger.errors import ReceiptInvalid, SecretMalformed, SecretMissing
from ledger.receipts import RECEIPT_TYPE, SigningKey, jwks, verify

CLAIMS = {"iss": "urn:test", "jti": "1", "iat": 1_700_000_000, "sub": "a" * 64, "request_id": "r"}


def altered(jws: str, part: int) -> str:
    """The JWS with one bit flipped in one of its three parts."""
    parts = jws.split(".")
    content = bytearray(base64.urlsafe_b64decode(parts[part] + "=="))
    content[len(content) // 2] ^= 1
    parts[part] = base64.urlsafe_b64encode(bytes(content)).rstrip(b"=").decode()
    return ".".join(parts)


def test_a_receipt_verifies_with_the_published_keys(tmp_path: Path) -> None:
    key = SigningKey.create(tmp_path)
    assert SigningKey.load(tmp_path).kid == key.kid
    assert verify(key.sign(CLAIMS), jwks(tmp_path)) == CLAIMS


def test_receipts_of_past_keys_still_verify(tmp_path: Path) -> None:
    past = SigningKey.create(tmp_path).sign(CLAIMS)
    present = SigningKey.create(tmp_path)
    assert len(jwks(tmp_path)["keys"]) == 2
    assert verify(past, jwks(tmp_path)) == CLAIMS
    assert SigningKey.load(tmp_path).kid == present.kid


def test_published_keys_are_public(tmp_path: Path) -> None:
    SigningKey.create(tmp_path)
    (key,) = jwks(tmp_path)["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert (tmp_path / "receipt.pem").stat().st_mode & 0o077 == 0


def test_the_key_id_is_the_thumbprint_of_rfc_7638_and_8037(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    example = ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    monkeypatch.setattr(ed25519.Ed25519PrivateKey, "generate", lambda: example)
    assert SigningKey.create(tmp_path).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_one_flipped_bit_is_noticed(tmp_path: Path, part: int) -> None:
    jws = SigningKey.create(tmp_path).sign(CLAIMS)
    with pytest.raises(ReceiptInvalid):
        verify(altered(jws, part), jwks(tmp_path))


def test_another_deployments_receipt_is_refused(tmp_path: Path) -> None:
    SigningKey.create(tmp_path / "ours")
    theirs = SigningKey.create(tmp_path / "theirs").sign(CLAIMS)
    with pytest.raises(ReceiptInvalid, match="does not hold its key"):
        verify(theirs, jwks(tmp_path / "ours"))


def forged(key: SigningKey, claims: dict[str, object], algorithm: str, typ: str) -> str:
    headers = {"kid": key.kid, "typ": typ}
    if algorithm == "EdDSA":
        return jwt.encode(claims, key.private, algorithm, headers)
    return jwt.encode(claims, "" if algorithm == "none" else "x" * 32, algorithm, headers)


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: "",
        lambda _: "a.b.c",
        lambda key: forged(key, CLAIMS, "EdDSA", "JWT"),
        lambda key: forged(key, CLAIMS, "none", RECEIPT_TYPE),
        lambda key: forged(key, CLAIMS, "HS256", RECEIPT_TYPE),
        lambda key: forged(key, {"iss": "urn:test"}, "EdDSA", RECEIPT_TYPE),
    ],
)
def test_what_is_no_receipt_is_refused(tmp_path: Path, forge: Callable[[SigningKey], str]) -> None:
    key = SigningKey.create(tmp_path)
    with pytest.raises(ReceiptInvalid):
        verify(forge(key), jwks(tmp_path))


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": [{"kty": "OKP"}]}, {"keys": "none"}])
def test_a_broken_key_set_verifies_nothing(tmp_path: Path, keys: dict[str, object]) -> None:
    jws = SigningKey.create(tmp_path).sign(CLAIMS)
    with pytest.raises(ReceiptInvalid):
        verify(jws, keys)


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    with pytest.raises(SecretMissing):
        SigningKey.load(tmp_path)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for content in (pem, b"", b"not a key", json.dumps(CLAIMS).encode()):
        (tmp_path / "receipt.pem").write_bytes(content)
        with pytest.raises(SecretMalformed, match="Ed25519"):
            SigningKey.load(tmp_path)


def test_the_private_key_is_never_shown(tmp_path: Path) -> None:
    assert "private" not in repr(SigningKey.create(tmp_path))
