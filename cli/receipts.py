"""`alteraser verify`: a receipt and its place in the log, checked against public keys with no service running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from cli.errors import FileUnreadable
from ledger import checkpoints, receipts
from ledger.checkpoints import Checkpoint
from ledger.encoding import bytes_of
from ledger.errors import CheckpointInvalid
from ledger.logged import Logged, check_extension, logged

Claims = dict[str, Any]


def verified(receipt: Path, jwks: Path) -> Claims:
    """The claims of a receipt that one of the keys signed, with a proof that the log has it where it names one.

    Raises:
        FileUnreadable: A file is missing or is not what it should be.
        ReceiptInvalid: The receipt does not verify, or the log does not have it.
        CheckpointInvalid: The checkpoint in it does not verify.
    """
    return _verified(receipt, _keys(jwks))[0]


def verify(console: Console, receipt: Path, jwks: Path, checkpoint: Path | None, proof: Path | None) -> None:
    """Check a receipt and print what was checked and what it says.

    Args:
        console: Where to print.
        receipt: File with the receipt.
        jwks: File with the public keys.
        checkpoint: File with a later checkpoint of the log, from `/v1/log/checkpoint`.
        proof: File with the proof that it extends the receipt's, from `/v1/log/proof`.

    Raises:
        FileUnreadable: A file is missing or is not what it should be.
        ReceiptInvalid, CheckpointInvalid: Something does not verify.
    """
    keys = _keys(jwks)
    claims, place = _verified(receipt, keys)
    found = ["the signature is valid", _said_of(place)]
    if checkpoint is not None:
        later = checkpoints.verified(_read(checkpoint), keys)
        _check_extension(place, later, proof)
        found.append(f"the log of {later.size} entries in {checkpoint.name} begins with that one")
    console.print("\n".join([*found, "the receipt says:"]), highlight=False, markup=False, soft_wrap=True)
    console.print_json(json.dumps(claims))


def _verified(receipt: Path, keys: Claims) -> tuple[Claims, Logged | None]:
    claims = receipts.verify(_read(receipt).strip(), keys)
    return claims, logged(claims, keys)


def _said_of(place: Logged | None) -> str:
    if place is None:
        return "it names no log: it was issued before there was one"
    seen = place.checkpoint
    return f"the log has it: entry {place.index} of {seen.size}, by a signed checkpoint of {seen.origin}"


def _check_extension(place: Logged | None, later: Checkpoint, proof: Path | None) -> None:
    """Check that a later checkpoint extends the one in the receipt.

    Raises:
        CheckpointInvalid: It does not, or nothing shows that it does.
    """
    if place is None:
        raise CheckpointInvalid("the receipt names no log")
    if proof is None and later.size != place.checkpoint.size:
        wanted = f"/v1/log/proof?first={place.checkpoint.size}&size={later.size}"
        raise CheckpointInvalid(f"it is of another size than the receipt's\nfetch {wanted} and name it with --proof")
    check_extension(place.checkpoint, later, [] if proof is None else _hashes(proof))


def _hashes(path: Path) -> list[bytes]:
    try:
        return [bytes_of(each) for each in _json(path, "a proof")["hashes"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileUnreadable(path, 'it has no list "hashes"; expected a proof') from error


def _keys(path: Path) -> Claims:
    keys = _json(path, "a JSON Web Key Set")
    if not isinstance(keys, dict) or not isinstance(keys.get("keys"), list):
        raise FileUnreadable(path, 'it has no list "keys"; expected a JSON Web Key Set')
    return keys


def _json(path: Path, expected: str) -> Any:
    try:
        return json.loads(_read(path))
    except json.JSONDecodeError as error:
        raise FileUnreadable(path, f"it is not JSON; expected {expected}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileUnreadable(path, error.strerror or type(error).__name__) from error
    except UnicodeDecodeError as error:
        raise FileUnreadable(path, "it is not plain text") from error
