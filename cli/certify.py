"""`alteraser certify`: what is proven of a snapshot's scores, from its files and with no service running."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from alteraser import snapshot
from alteraser.certificate import distance_between
from alteraser.errors import VocabularyMismatch
from alteraser.interactions import rows_in
from alteraser.snapshot import Snapshot
from cli.errors import FileUnreadable, NotItsParent
from workers.certificates import certified, document

RANK_BOUND_ABOVE = 1.01
"""Sigma above which the model clearly has too few dimensions for its optimum to be that of a full retraining."""

WIDTH = len("influence")

Factors = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Proof:
    """What is proven of a snapshot.

    Attributes:
        digest: Of the snapshot.
        child: The snapshot.
        moved: Norm of the change of all its scores from the snapshot before; None where none was named.
        certificate: As it stands in a receipt.
    """

    digest: str
    child: Snapshot
    moved: float | None
    certificate: dict[str, Any]

    def as_json(self) -> str:
        """The proof as one JSON object."""
        named = {"snapshot": self.digest, "kind": self.child.kind, "moved": self.moved}
        return json.dumps(named | self.certificate, indent=2)


def certify(folder: Path, before: Path | None) -> Proof:
    """Read a snapshot, every byte checked, and prove what can be proven of it.

    Args:
        folder: The snapshot's.
        before: Its parent's, where what is left of the deletion is to be bounded too.

    Raises:
        FileUnreadable: A path is not a snapshot's folder.
        SnapshotError: A snapshot is damaged.
        NotItsParent: `before` lacks a user or an item of the snapshot, or is of another kind.
        NoSuchProof: There is none for the snapshot's kind.
        NothingProven: The bound is not a finite number.
    """
    digest, child = _read(folder)
    started = time.perf_counter()
    found = certified(child)
    seconds = time.perf_counter() - started
    moved = None if before is None else _moved(before, child)
    return Proof(digest, child, moved, document(found, moved or 0.0, seconds))


def show(console: Console, proof: Proof) -> None:
    """Print a proof for people."""
    for name, said in _lines(proof):
        console.print(f"{name:<{WIDTH}}  {said}", highlight=False, markup=False, soft_wrap=True)


def in_words(certificate: dict[str, Any]) -> str:
    """What a certificate proves, in one line."""
    said = f"scores within {_relative(certificate)} of a full retraining"
    left = certificate["influence_bound"]
    if left is not None:
        said += f", influence left <= {left:.1e}"
    return said


def is_rank_bound(certificate: dict[str, Any]) -> bool:
    """Whether the model has so few dimensions that little can be proven."""
    return bool(certificate["sigma"] > RANK_BOUND_ABOVE)


def _lines(proof: Proof) -> list[tuple[str, str]]:
    proven, data = proof.certificate, proof.child.interactions
    return [
        (
            "snapshot",
            f"{proof.digest[:12]}, {proof.child.kind}, {data.n_users:,} x {data.n_items:,}, {len(data):,} kept",
        ),
        ("rank", f"{proven['rank']} of {proof.child.parameters.users.shape[1]} dimensions"),
        ("sigma", f"{proven['sigma']:.6f} by {proven['sigma_by']}{_verdict(proven)}"),
        ("gap", f"{proven['gap']:.2e} of objective {proven['objective']:.6g}"),
        ("distance", f"at most {proven['distance']:.2e} (Frobenius) to the scores of any full retraining"),
        ("RMSE/RMS", f"at most {_relative(proven)}"),
        *_influence(proof),
        ("seconds", f"{proven['seconds']:.2f}"),
    ]


def _influence(proof: Proof) -> list[tuple[str, str]]:
    if proof.moved is None:
        return []
    left = proof.certificate["influence_bound"]
    if left is None:
        return [
            ("influence", f"not bounded: the deletion moved the scores by {proof.moved:.2e}, less than the distance")
        ]
    return [("influence", f"at most {left:.2e} is left; the deletion moved the scores by {proof.moved:.2e}")]


def _verdict(certificate: dict[str, Any]) -> str:
    return ": more dimensions would prove more" if is_rank_bound(certificate) else ""


def _relative(certificate: dict[str, Any]) -> str:
    ratio = certificate["rmse_ratio"]
    return "nothing known" if ratio is None else f"{ratio:.1e}"


def _read(folder: Path) -> tuple[str, Snapshot]:
    path = folder.resolve()
    if path.name not in snapshot.digests(path.parent):
        raise FileUnreadable(folder, "it is not the folder of a snapshot, which has a digest for a name")
    return path.name, snapshot.read(path.parent, path.name)


def _moved(before: Path, child: Snapshot) -> float:
    """The norm of the change of the child's scores since the snapshot before, rows matched by id."""
    _, parent = _read(before)
    if parent.kind != child.kind:
        raise NotItsParent(before, f"it is of kind {parent.kind}")
    known, kept = parent.interactions, child.interactions
    try:
        users, items = rows_in(kept.users, known.users), rows_in(kept.items, known.items)
    except VocabularyMismatch as error:
        raise NotItsParent(before, f"it lacks {error.n_missing} users or items") from error
    P, Q = _factors(parent)
    return distance_between((P[users], Q[items]), _factors(child))


def _factors(model: Snapshot) -> Factors:
    return model.parameters.users.numpy(), model.parameters.items.numpy()
