"""Checkpoints of the log: size and root as a signed note, the way transparency logs exchange them.

The text is that of C2SP's tlog-checkpoint (origin, size, root), the signature that of its signed-note: Ed25519, one
line for each key, named by the origin and the first four bytes of a digest of name and key (c2sp.org/tlog-checkpoint).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.errors import CheckpointInvalid
from ledger.merkle import HASH_BYTES

ED25519 = b"\x01"
ID_BYTES = 4
DASH = "— "
N_LINES = 3


class NoteSigner(Protocol):
    """Whatever signs notes: a key on disk here, a security module elsewhere."""

    @property
    def public(self) -> bytes:
        """The 32 bytes of the Ed25519 key that verifies."""

    def sign_bytes(self, content: bytes) -> bytes:
        """The Ed25519 signature, 64 bytes."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log was at one size.

    Attributes:
        origin: The log's name.
        size: How many entries it had.
        root: Their Merkle root, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def of(cls, text: str) -> Self:
        """The checkpoint that a note's text says.

        Raises:
            CheckpointInvalid: It says none.
        """
        origin, size, root, *_ = [*text.split("\n"), "", "", ""]
        hashed = _decoded(root)
        if not origin or not _is_size(size) or hashed is None or len(hashed) != HASH_BYTES:
            raise CheckpointInvalid("it is not an origin, a size and a root")
        return cls(origin, int(size), hashed)


def signed(checkpoint: Checkpoint, signer: NoteSigner) -> str:
    """The checkpoint as a note with one signature."""
    named = key_id(checkpoint.origin, signer.public)
    signature = base64.b64encode(named + signer.sign_bytes(checkpoint.text.encode())).decode()
    return f"{checkpoint.text}\n{DASH}{checkpoint.origin} {signature}\n"


def verified(note: str, jwks: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint of a note that one of the keys signed.

    Raises:
        CheckpointInvalid: It is not a checkpoint, none of the keys signed it, or its signature is wrong.
    """
    text, separator, signatures = note.rpartition("\n\n")
    checkpoint = Checkpoint.of(text + "\n")
    keys = {key_id(checkpoint.origin, key): key for key in public_keys(jwks)}
    for named, signature in _signatures(signatures if separator else "", checkpoint.origin):
        if named in keys:
            if not signed_by([keys[named]], signature, f"{text}\n".encode()):
                raise CheckpointInvalid("the signature is wrong")
            return checkpoint
    raise CheckpointInvalid("none of the keys signed it")


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes by which a signature line names an Ed25519 key."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:ID_BYTES]


def _signatures(lines: str, origin: str) -> Iterator[tuple[bytes, bytes]]:
    """The (key id, signature) of every signature line in the log's own name."""
    for line in lines.splitlines():
        if line.startswith(f"{DASH}{origin} "):
            content = _decoded(line.rpartition(" ")[2]) or b""
            yield content[:ID_BYTES], content[ID_BYTES:]


def signed_by(keys: Iterable[bytes], signature: bytes, content: bytes) -> bool:
    """Whether the bare Ed25519 signature is by one of the keys."""
    for key in keys:
        with suppress(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(key).verify(signature, content)
            return True
    return False


def public_keys(jwks: Mapping[str, Any]) -> Iterator[bytes]:
    """The Ed25519 keys of a key set, 32 bytes each."""
    for key in jwks.get("keys", ()):
        if isinstance(key, Mapping) and key.get("crv") == "Ed25519":
            raw = _decoded(str(key.get("x")) + "=", base64.urlsafe_b64decode)
            if raw is not None and len(raw) == HASH_BYTES:
                yield raw


def _decoded(text: str, decode: Any = base64.b64decode) -> bytes | None:
    try:
        content: bytes = decode(text)
    except (binascii.Error, ValueError):
        return None
    return content


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or not text.startswith("0"))
