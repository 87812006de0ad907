"""The keys of a deployment, made once and kept in files that only their owner can read."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.pseudonym import KEY_FILE, Pseudonyms
from ledger.receipts import SigningKey


def make_secrets(folder: Path) -> bool:
    """Make the subject key and a receipt key where the folder has no subject key; whether it did.

    Raises:
        OSError: The folder cannot be written.
    """
    if (folder / KEY_FILE).exists():
        return False
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    SigningKey.create(folder)
    Pseudonyms.create(folder)
    return True


def replace_receipt_key(folder: Path) -> str:
    """Make a new receipt key; its id. The public half of the one before stays, for what it has signed.

    Raises:
        SecretMissing, SecretMalformed: There is no key to replace.
        OSError: The folder cannot be written.
    """
    SigningKey.load(folder)
    return SigningKey.create(folder).kid


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
