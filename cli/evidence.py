"""Where the demo looks for what should be gone: the database, the live snapshot and the disk."""

from __future__ import annotations

from pathlib import Path

from alteraser import snapshot
from alteraser.interactions import Interactions
from cli.deployment import Deployment, transaction
from ledger import interactions
from workers.certificates import certified


def rows_of_user(deployment: Deployment, user: str) -> int:
    """Interactions of a user in PostgreSQL."""
    with transaction(deployment) as session:
        return interactions.count(session, user)


def rows_of_item(deployment: Deployment, item: str) -> int:
    """Interactions with an item in PostgreSQL."""
    with transaction(deployment) as session:
        return interactions.count_item(session, item)


def trained_on(deployment: Deployment, digest: str) -> Interactions:
    """The interactions inside a snapshot, read from the disk with every digest verified."""
    return snapshot.read(Path(deployment.snapshot_dir), digest).interactions


def proven_distance(deployment: Deployment, digest: str) -> float:
    """How far the scores of a snapshot are at most from a full retraining's, proven from its files."""
    return certified(snapshot.read(Path(deployment.snapshot_dir), digest)).distance


def generations(deployment: Deployment) -> set[str]:
    """The digests of all snapshots on disk."""
    return snapshot.digests(Path(deployment.snapshot_dir))
