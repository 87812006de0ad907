"""`alteraser verify`: a receipt checked against a file of public keys, with no service running."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.errors import FileUnreadable
from ledger import receipts


def verified(receipt: Path, jwks: Path) -> dict[str, Any]:
    """The claims of a receipt whose signature is by one of the keys.

    Raises:
        FileUnreadable: A file is missing or is not what it should be.
        ReceiptInvalid: The receipt does not verify.
    """
    return receipts.verify(_read(receipt).strip(), _keys(jwks))


def show(console: Console, claims: Mapping[str, Any]) -> None:
    """Print what a receipt says."""
    console.print("the signature is valid; the receipt says:")
    console.print_json(json.dumps(claims))


def _keys(path: Path) -> dict[str, Any]:
    try:
        keys = json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise FileUnreadable(path, "it is not JSON; expected a JSON Web Key Set") from error
    if not isinstance(keys, dict) or not isinstance(keys.get("keys"), list):
        raise FileUnreadable(path, 'it has no list "keys"; expected a JSON Web Key Set')
    return keys


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise FileUnreadable(path, error.strerror or type(error).__name__) from error
    except UnicodeDecodeError as error:
        raise FileUnreadable(path, "it is not plain text") from error
