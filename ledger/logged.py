"""What a receipt says of the log, checked offline: its entry, the proof that the log has it, and later checkpoints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import checkpoints, merkle
from ledger.checkpoints import Checkpoint
from ledger.encoding import bytes_of
from ledger.errors import CheckpointInvalid, ReceiptInvalid
from ledger.receipts import claims_digest

COMPLETED = "request_completed"


@dataclass(frozen=True, slots=True)
class Logged:
    """Where a receipt stands in the log.

    Attributes:
        index: The place of its entry, from 0.
        checkpoint: The signed state of the log that has it.
    """

    index: int
    checkpoint: Checkpoint


def logged(claims: Mapping[str, Any], jwks: Mapping[str, Any]) -> Logged | None:
    """Check that the log has a receipt's entry and that the entry speaks of this receipt; None where it names no log.

    Raises:
        ReceiptInvalid: The entry is about something else, or the proof does not lead to the checkpoint.
        CheckpointInvalid: None of the keys signed the checkpoint.
    """
    said = claims.get("log")
    if said is None:
        return None
    try:
        index, entry, note = int(said["index"]), str(said["entry"]), str(said["checkpoint"])
        proof = [bytes_of(each) for each in said["inclusion"]]
        about = json.loads(entry)
    except (KeyError, TypeError, ValueError) as error:
        raise ReceiptInvalid("what it says of the log cannot be read") from error
    if not isinstance(about, dict) or not _is_about(about, claims):
        raise ReceiptInvalid("its entry in the log is about something else")
    checkpoint = checkpoints.verified(note, jwks)
    leaf = merkle.leaf_hash(entry.encode())
    if not merkle.is_included(leaf, index, checkpoint.size, proof, checkpoint.root):
        raise ReceiptInvalid("the proof does not show that the log has its entry")
    return Logged(index, checkpoint)


def check_extension(earlier: Checkpoint, later: Checkpoint, proof: Sequence[bytes]) -> None:
    """Check that the later state of a log begins with the earlier one.

    Raises:
        CheckpointInvalid: They are of two logs, or the log was cut or rewritten in between.
    """
    if earlier.origin != later.origin:
        raise CheckpointInvalid("it is of another log than the receipt's")
    if not merkle.is_consistent(earlier.size, later.size, earlier.root, later.root, proof):
        raise CheckpointInvalid("the log does not begin with what the receipt's checkpoint signed")


def _is_about(entry: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """Whether an entry says that this very receipt was issued."""
    expected = {
        "event": COMPLETED,
        "request": claims.get("request_id"),
        "receipt": claims.get("jti"),
        "subject": claims.get("sub"),
        "claims": claims_digest(claims),
    }
    return all(entry.get(name) == value for name, value in expected.items())
