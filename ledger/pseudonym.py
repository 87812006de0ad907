"""Keyed pseudonyms: how a subject appears wherever its id must not."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ledger.errors import SecretMalformed, SecretMissing

KEY_FILE = "subject.key"
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Hex HMAC-SHA256 under one secret key; the prefix keeps users, items and payloads apart.

    A plain hash of an e-mail address or a small integer is reversed by trying them all; a keyed one is not.
    """

    key: bytes = field(repr=False)

    @classmethod
    def load(cls, secrets_dir: Path) -> Self:
        """Read the key.

        Raises:
            SecretMissing: There is no readable key file.
            SecretMalformed: It does not hold 32 bytes in hexadecimal.
        """
        path = secrets_dir / KEY_FILE
        try:
            key = bytes.fromhex(path.read_text(encoding="ascii"))
        except OSError as error:
            raise SecretMissing(path) from error
        except ValueError as error:
            raise SecretMalformed(path, f"{KEY_BYTES} bytes in hexadecimal") from error
        if len(key) != KEY_BYTES:
            raise SecretMalformed(path, f"{KEY_BYTES} bytes in hexadecimal")
        return cls(key)

    @classmethod
    def create(cls, secrets_dir: Path) -> Self:
        """Draw a key and write it, readable by this account only; an existing key is never replaced.

        Raises:
            FileExistsError: There is a key. A new one would forget who was erased.
        """
        secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = secrets.token_bytes(KEY_BYTES)
        descriptor = os.open(secrets_dir / KEY_FILE, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.hex())
        return cls(key)

    def user(self, user_id: str) -> str:
        """The pseudonym of a user."""
        return self._hmac(b"user:", user_id.encode())

    def item(self, item_id: str) -> str:
        """The pseudonym of an item."""
        return self._hmac(b"item:", item_id.encode())

    def pair(self, user_id: str, item_id: str) -> str:
        """The pseudonym of one user's interaction with one item."""
        return self._hmac(b"pair:", json.dumps([user_id, item_id]).encode())

    def chained(self, before: str, line: str) -> str:
        """What vouches for a line of the journal and for all lines before it."""
        return self._hmac(b"journal:", f"{before}\n{line}".encode())

    def vouched(self, content: str) -> str:
        """What vouches for a browser's session and its forms."""
        return self._hmac(b"session:", content.encode())

    def payload(self, content: bytes) -> str:
        """The keyed digest of a request's payload."""
        return self._hmac(b"payload:", content)

    def _hmac(self, domain: bytes, content: bytes) -> str:
        return hmac.new(self.key, domain + content, hashlib.sha256).hexdigest()
