"""The receipt's signature: Ed25519 keys in the secrets folder, JWS with EdDSA."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ledger.errors import ReceiptInvalid, SecretMalformed, SecretMissing

KEY_FILE = "receipt.pem"
PUBLIC_DIR = "receipt-keys"
ALGORITHM = "EdDSA"
RECEIPT_TYPE = "alteraser-receipt+jwt"
REQUIRED_CLAIMS = ("iss", "jti", "iat", "sub", "request_id")
EXPECTED = "an Ed25519 private key in PEM"


class Signer(Protocol):
    """Whatever signs receipts: a key on disk here, a security module elsewhere."""

    @property
    def kid(self) -> str:
        """The id of the key, as the key set lists it."""

    @property
    def public(self) -> bytes:
        """The 32 bytes of the Ed25519 key that verifies."""

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a compact JWS."""

    def sign_bytes(self, content: bytes) -> bytes:
        """The bare Ed25519 signature, for checkpoints of the log."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The current receipt key. Its id is its RFC 7638 thumbprint."""

    private: Ed25519PrivateKey = field(repr=False)
    kid: str

    @classmethod
    def load(cls, secrets_dir: Path) -> Self:
        """Read the current key.

        Raises:
            SecretMissing: There is no readable key file.
            SecretMalformed: It does not hold an Ed25519 private key.
        """
        path = secrets_dir / KEY_FILE
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise SecretMissing(path) from error
        except (ValueError, TypeError) as error:
            raise SecretMalformed(path, EXPECTED) from error
        if not isinstance(private, Ed25519PrivateKey):
            raise SecretMalformed(path, EXPECTED)
        return cls(private, _thumbprint(private.public_key()))

    @classmethod
    def create(cls, secrets_dir: Path) -> Self:
        """Draw a new current key; the public halves of earlier ones stay, for the receipts they signed."""
        private = Ed25519PrivateKey.generate()
        kid = _thumbprint(private.public_key())
        published = secrets_dir / PUBLIC_DIR
        published.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(published / f"{kid}.json", json.dumps(_jwk(private.public_key())).encode())
        _write(
            secrets_dir / KEY_FILE,
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        return cls(private, kid)

    @property
    def public(self) -> bytes:
        """The 32 bytes of the public half."""
        return _raw(self.private.public_key())

    def sign_bytes(self, content: bytes) -> bytes:
        """The bare Ed25519 signature, 64 bytes."""
        return self.private.sign(content)

    def sign(self, claims: Mapping[str, Any]) -> str:
        """The claims as a compact JWS that names its key and its type."""
        return jwt.encode(
            dict(claims), self.private, algorithm=ALGORITHM, headers={"kid": self.kid, "typ": RECEIPT_TYPE}
        )


def jwks(secrets_dir: Path) -> dict[str, list[dict[str, str]]]:
    """The public keys of all receipts ever signed here, as a JSON Web Key Set."""
    files = sorted((secrets_dir / PUBLIC_DIR).glob("*.json"))
    return {"keys": [json.loads(file.read_text(encoding="ascii")) for file in files]}


def claims_digest(claims: Mapping[str, Any]) -> str:
    """SHA-256, in hex, of what a receipt says apart from where that stands in the log."""
    said = {name: claim for name, claim in claims.items() if name != "log"}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(jws: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Check a receipt against a key set, with no service running; returns its claims.

    Raises:
        ReceiptInvalid: It is not a receipt, its key is not in the set, or its signature is wrong.
    """
    try:
        header = jwt.get_unverified_header(jws)
        if header.get("typ") != RECEIPT_TYPE:
            raise ReceiptInvalid("it is a token of another type")
        key = jwt.PyJWKSet.from_dict(dict(jwks))[str(header.get("kid"))]
        return jwt.decode(jws, key.key, algorithms=[ALGORITHM], options={"require": list(REQUIRED_CLAIMS)})
    except KeyError as error:
        raise ReceiptInvalid("the key set does not hold its key") from error
    except jwt.InvalidSignatureError as error:
        raise ReceiptInvalid("the signature is wrong") from error
    except jwt.PyJWTError as error:
        raise ReceiptInvalid(str(error)) from error


def _jwk(public: Ed25519PublicKey) -> dict[str, str]:
    required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(_raw(public))}
    return {**required, "alg": ALGORITHM, "kid": _thumbprint(public), "use": "sig"}


def _thumbprint(public: Ed25519PublicKey) -> str:
    """RFC 7638: SHA-256 over the required members in their order, without spaces."""
    required = f'{{"crv":"Ed25519","kty":"OKP","x":"{_base64url(_raw(public))}"}}'
    return _base64url(hashlib.sha256(required.encode()).digest())


def _raw(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _write(path: Path, content: bytes) -> None:
    """Write a file only this account can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    descriptor = os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
