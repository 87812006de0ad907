"""From a child in memory to the snapshot that is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError

from alteraser import crash, snapshot
from alteraser.snapshot import Snapshot
from ledger import runs, tracing
from ledger.database import unit_of_work
from ledger.runs import Lease, PublishedSnapshot
from workers.attempts import Child
from workers.errors import ChildVanished
from workers.orphans import discard
from workers.workbench import Workbench


@contextmanager
def written(workbench: Workbench, child: Snapshot) -> Iterator[str]:
    """Write the child's folder and yield its digest; remove it again where the block does not publish it."""
    digest = snapshot.write(workbench.snapshots, child)
    try:
        yield digest
    except BaseException:
        discard(workbench, digest)
        raise


def publish(workbench: Workbench, lease: Lease, digest: str, child: Child) -> None:
    """Move the model's pointer from the run's parent to the written child, in one transaction.

    Raises:
        LeaseLost: The run is not this worker's any more.
        ChildVanished: The folder is gone: a run that made the same child lost its lease and discarded it.
    """
    data = child.snapshot.interactions
    published = PublishedSnapshot(
        digest=digest,
        watermark=child.snapshot.watermark,
        n_users=data.n_users,
        n_items=data.n_items,
        n_interactions=len(data),
        residual=child.snapshot.residual,
        hyperparameters=dict(child.snapshot.hyperparameters),
    )
    crash.point("publish.before")
    with tracing.stage("publish", child=digest):
        _commit(workbench, lease, published, child)
    crash.point("publish.committed")


def _commit(workbench: Workbench, lease: Lease, published: PublishedSnapshot, child: Child) -> None:
    """Commit the publish, and know whether that went through although its answer was lost."""
    digest = published.digest
    try:
        with unit_of_work(workbench.database) as session:
            runs.publish(session, lease, published, child.report)
            crash.point("publish.inside")
            if digest not in snapshot.digests(workbench.snapshots):
                raise ChildVanished(digest)
    except DBAPIError:  # the server went away, or ended a transaction that stood still
        if not _was_published(workbench, lease, digest):
            raise


def _was_published(workbench: Workbench, lease: Lease, digest: str) -> bool:
    """Whether the commit went through although its answer was lost."""
    with unit_of_work(workbench.database) as session:
        return runs.was_published(session, lease, digest)
