"""What a snapshot says of itself, in one canonical JSON text whose SHA-256 is the snapshot's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TypedDict

from alteraser.errors import SnapshotCorrupt, SnapshotUnsupported
from alteraser.model import Hyperparameters

FORMAT = 1
MANIFEST = "manifest.json"


class FileEntry(TypedDict):
    """What the manifest knows of one file."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """A snapshot without its arrays.

    Attributes:
        kind: Name of the model kind.
        hyperparameters: What the kind was trained with.
        watermark: Sequence of the last deletion request the snapshot satisfies.
        parent: Digest of the generation it was unlearned from, if any.
        residual: Relative gradient norm when it was written.
        interactions: Digest of the interactions.
        n_users: Rows of users.
        n_items: Rows of items.
        n_interactions: Distinct (user, item) pairs.
        files: SHA-256 and size of each data file, by name.
        format: Version of the folder's layout.
    """

    kind: str
    hyperparameters: Hyperparameters
    watermark: int
    parent: str | None
    residual: float
    interactions: str
    n_users: int
    n_items: int
    n_interactions: int
    files: Mapping[str, FileEntry]
    format: int = FORMAT

    def text(self) -> bytes:
        """The one JSON text of this manifest."""
        return canonical(asdict(self))


def parse(text: bytes, digest: str) -> Manifest:
    """The manifest of the snapshot named `digest`.

    Raises:
        SnapshotCorrupt: The text is not the one that gave the snapshot its name.
        SnapshotUnsupported: It is in a format this version does not read.
    """
    if sha256(text) != digest:
        raise SnapshotCorrupt(digest, MANIFEST)
    fields = json.loads(text)
    if fields["format"] != FORMAT:
        raise SnapshotUnsupported(digest, found=fields["format"], supported=FORMAT)
    return Manifest(**fields)


def entry(content: bytes) -> FileEntry:
    """What the manifest keeps of a file with this content."""
    return FileEntry(sha256=sha256(content), size_bytes=len(content))


def canonical(value: object) -> bytes:
    """The one JSON text of a value: sorted keys, no blanks, ASCII, no NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def sha256(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()
