"""One generation of a model on disk: immutable, named by the digest of its content, complete or not there.

A snapshot is a folder ``root/<digest>`` of four data files and a manifest, written last, that holds the
SHA-256 of each; the digest is the manifest's own SHA-256. Nothing inside tells when it was written, so the
same content always has the same digest. A folder still being written or destroyed has another name and is
never read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load as tensors_in
from safetensors.torch import save as bytes_of
from torch import Tensor

from alteraser import durable
from alteraser.errors import SnapshotCorrupt, SnapshotInconsistent, SnapshotMissing, SnapshotNotDestroyed
from alteraser.interactions import Csr, Interactions, Vocabulary
from alteraser.manifest import MANIFEST, Manifest, canonical, entry, parse, sha256
from alteraser.model import Hyperparameters, Parameters

PARAMETERS = "parameters.safetensors"
INTERACTIONS = "interactions.safetensors"
USERS = "users.json"
ITEMS = "items.json"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A model with the interactions it was trained on.

    Attributes:
        kind: Name of the model kind.
        hyperparameters: What the kind was trained with, constants fixed at training included.
        parameters: Row r of `users` and `items` belongs to row r of the vocabularies of `interactions`.
        interactions: The data the parameters are stationary on, and nothing else.
        watermark: Sequence of the last deletion request this generation satisfies.
        parent: Digest of the generation it was unlearned from, or None where it was trained afresh.
        residual: Relative gradient norm on `interactions`.

    Raises:
        SnapshotInconsistent: The parameters are not float64 or not one row per id.
    """

    kind: str
    hyperparameters: Hyperparameters
    parameters: Parameters
    interactions: Interactions
    watermark: int
    parent: str | None
    residual: float

    def __post_init__(self) -> None:
        users, items, shared = self.parameters.users, self.parameters.items, self.parameters.shared
        if {users.dtype, items.dtype, shared.dtype} != {torch.float64}:
            raise SnapshotInconsistent("they must be float64")
        if (users.ndim, items.ndim, shared.ndim) != (2, 2, 1):
            raise SnapshotInconsistent("users and items must be matrices and shared a vector")
        if (len(users), len(items)) != (self.interactions.n_users, self.interactions.n_items):
            raise SnapshotInconsistent(
                f"{len(users)} user rows and {len(items)} item rows for "
                f"{self.interactions.n_users} users and {self.interactions.n_items} items"
            )


def write(root: Path, snapshot: Snapshot) -> str:
    """Write the snapshot below `root` and return its digest; the same content twice is written once.

    Either the whole snapshot is on disk under its digest when this returns, or nothing of that name is.

    Raises:
        SnapshotCorrupt: A snapshot of this digest is there already and a file of it is damaged.
    """
    contents = _contents(snapshot)
    text = _manifest_of(snapshot, contents).text()
    digest = sha256(text)
    if not durable.write_folder(root / digest, {**contents, MANIFEST: text}):
        _verified_contents(root, digest)
    return digest


def read(root: Path, digest: str) -> Snapshot:
    """Read a snapshot whose every byte has been checked against its digest.

    Raises:
        SnapshotMissing: There is none of that digest.
        SnapshotCorrupt: A file is damaged or gone.
        SnapshotUnsupported: It is in a format this version does not read.
    """
    found, contents = _verified_contents(root, digest)
    return Snapshot(
        kind=found.kind,
        hyperparameters=found.hyperparameters,
        parameters=Parameters(**tensors_in(contents[PARAMETERS])),
        interactions=_interactions_in(contents),
        watermark=found.watermark,
        parent=found.parent,
        residual=found.residual,
    )


def manifest(root: Path, digest: str) -> Manifest:
    """Read a snapshot's manifest, checked against its digest; the data files are not touched.

    Raises:
        SnapshotMissing: There is none of that digest.
        SnapshotCorrupt: The manifest is damaged or gone.
        SnapshotUnsupported: It is in a format this version does not read.
    """
    return parse(_read_file(_folder(root, digest), MANIFEST), digest)


def digests(root: Path) -> set[str]:
    """The digests of all snapshots below `root`; those being written or destroyed are not among them."""
    if not root.is_dir():
        return set()
    return {folder.name for folder in root.iterdir() if _is_digest(folder.name)}


def destroy(root: Path, digest: str) -> None:
    """Remove a snapshot so that neither its name nor a file of it is left; it may be gone already.

    Raises:
        SnapshotMissing: This is not a digest, so no snapshot can have the name.
        SnapshotNotDestroyed: Something of it is still on disk; calling again goes on where this stopped.
    """
    if not durable.remove_folder(_folder(root, digest)):
        raise SnapshotNotDestroyed(digest)


def sweep_temporary(root: Path, untouched_s: float) -> int:
    """Remove what interrupted writes and destructions left, and count it.

    Args:
        root: The folder of snapshots.
        untouched_s: Seconds, by the file system's clock; what was touched since may still be in use and stays.
    """
    return durable.sweep(root, untouched_s)


def has_temporary(root: Path) -> bool:
    """Whether something half written or half destroyed lies in the folder of snapshots."""
    return durable.has_leftovers(root)


def _contents(snapshot: Snapshot) -> dict[str, bytes]:
    """The bytes of each data file, by name."""
    data, parameters = snapshot.interactions, snapshot.parameters
    blocks = {"users": parameters.users, "items": parameters.items, "shared": parameters.shared}
    by_user = {name: torch.from_numpy(array) for name, array in data.by_user._asdict().items()}
    return {
        PARAMETERS: bytes_of({name: _of_its_own(block) for name, block in blocks.items()}),
        INTERACTIONS: bytes_of(by_user),
        USERS: canonical(data.users.ids),
        ITEMS: canonical(data.items.ids),
    }


def _of_its_own(tensor: Tensor) -> Tensor:
    """The tensor in memory it shares with no other, which is what safetensors writes."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _interactions_in(contents: Mapping[str, bytes]) -> Interactions:
    users, items = (Vocabulary(tuple(json.loads(contents[name]))) for name in (USERS, ITEMS))
    by_user = {name: tensor.numpy() for name, tensor in tensors_in(contents[INTERACTIONS]).items()}
    return Interactions.from_csr(users, items, Csr(**by_user))


def _manifest_of(snapshot: Snapshot, contents: Mapping[str, bytes]) -> Manifest:
    return Manifest(
        kind=snapshot.kind,
        hyperparameters=dict(snapshot.hyperparameters),
        watermark=snapshot.watermark,
        parent=snapshot.parent,
        residual=snapshot.residual,
        interactions=snapshot.interactions.digest(),
        n_users=snapshot.interactions.n_users,
        n_items=snapshot.interactions.n_items,
        n_interactions=len(snapshot.interactions),
        files={name: entry(content) for name, content in contents.items()},
    )


def _verified_contents(root: Path, digest: str) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest and the bytes of each data file, every one checked."""
    expected = manifest(root, digest)
    contents = {name: _read_file(root / digest, name) for name in expected.files}
    for name, content in contents.items():
        if entry(content) != expected.files[name]:
            raise SnapshotCorrupt(digest, name)
    return expected, contents


def _read_file(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        if folder.is_dir():
            raise SnapshotCorrupt(folder.name, name) from None
        raise SnapshotMissing(folder.name) from None


def _folder(root: Path, digest: str) -> Path:
    if not _is_digest(digest):
        raise SnapshotMissing(digest)
    return root / digest


def _is_digest(name: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", name) is not None
