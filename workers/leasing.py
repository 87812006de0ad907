"""Taking a run, and answering for it: it ends published, failed, or in another worker's hands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError
from structlog.contextvars import bound_contextvars

from alteraser import crash, snapshot
from alteraser.errors import AlteraserError, SnapshotError
from alteraser.snapshot import Snapshot
from ledger import runs, tracing
from ledger.database import unit_of_work
from ledger.doorbell import UNLEARN
from ledger.errors import LeaseLost, LedgerError
from ledger.runs import Lease, Purpose
from workers.errors import NeverTrained, ToldToStop, WorkerError
from workers.heartbeat import Heartbeat
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parent:
    """The snapshot a run starts from, and its name."""

    digest: str
    snapshot: Snapshot


def take_lease(workbench: Workbench, model: str, purpose: Purpose = "unlearn") -> Lease | None:
    """Become the one live run of a model; None where another is, or where nothing is pending."""
    with unit_of_work(workbench.database) as session:
        lease = runs.lease(session, model, workbench.owner, workbench.settings.worker_lease_s, purpose=purpose)
        crash.point("lease.inside")
    crash.point("lease.taken")
    if lease is not None:
        log_leased(lease)
    return lease


def log_leased(lease: Lease) -> None:
    """Say which run was leased, and what it took."""
    run = str(lease.run_id)
    log.info("run_leased", model=lease.model, run=run, purpose=lease.purpose, requests=len(lease.request_ids))
    for request_id in lease.request_ids:
        log.info("request_leased", request=str(request_id), run=run)


def parent_of(workbench: Workbench, lease: Lease) -> Parent:
    """Read the snapshot the run starts from, every byte checked.

    Raises:
        NeverTrained: The model has none.
        SnapshotCorrupt, SnapshotMissing: It is not what was published.
    """
    if lease.parent is None:
        raise NeverTrained(lease.model)
    return Parent(lease.parent, snapshot.read(workbench.snapshots, lease.parent))


@contextmanager
def held(workbench: Workbench, lease: Lease) -> Iterator[Heartbeat]:
    """Hold a run while the block works on it, as `_answered_for` says, in a trace and with its id in every log line."""
    facts = {"model": lease.model, "run": str(lease.run_id)}
    with unit_of_work(workbench.database) as session:
        calls = tracing.calls_of(session, lease.request_ids)
    stage = tracing.stage(lease.purpose, calls, **facts)
    with bound_contextvars(**facts), stage, _answered_for(workbench, lease) as heartbeat:
        yield heartbeat


@contextmanager
def _answered_for(workbench: Workbench, lease: Lease) -> Iterator[Heartbeat]:
    """Hold a run while the block works on it; yield its heartbeat.

    Whatever the block raises is raised on. Where the lease was lost the run is its successor's; where the worker is
    to stop, the run is given back and nobody blamed; after any other error it is recorded as failed, and its requests
    are tried again: together where the surroundings failed, else in shares until the one at fault is alone, which is
    an alarm.
    """
    try:
        yield Heartbeat(workbench, lease)
    except LeaseLost:
        log.warning("run_lost", model=lease.model, run=str(lease.run_id))
        raise
    except ToldToStop:
        _give_back(workbench, lease)
        raise
    except BaseException as error:  # a Ctrl-C, too, must not leave a live run behind
        reason = reason_of(error)
        log.exception("run_failed", model=lease.model, run=str(lease.run_id), reason=reason)
        is_suspect = _may_be_the_requests(error)
        with unit_of_work(workbench.database) as session:
            runs.fail(session, lease, reason, suspect=is_suspect)
        if is_suspect and len(lease.request_ids) == 1:
            log.error("request_isolated", model=lease.model, request=str(lease.request_ids[0]), reason=reason)
        raise


def _give_back(workbench: Workbench, lease: Lease) -> None:
    """Let another worker have the run at once."""
    with unit_of_work(workbench.database) as session:
        runs.give_back(session, lease)
    log.info("run_given_back", model=lease.model, run=str(lease.run_id))
    workbench.doorbell.ring(UNLEARN)


def _may_be_the_requests(error: BaseException) -> bool:
    """Whether what was asked may have made the run fail, and not the disk, the database or somebody at a keyboard."""
    surroundings = (OSError, SQLAlchemyError, LedgerError, SnapshotError)
    return isinstance(error, Exception) and not isinstance(error, surroundings)


def reason_of(error: BaseException) -> str:
    """The message of our own errors, which name nobody; only the class of any other."""
    ours = isinstance(error, AlteraserError | LedgerError | WorkerError)
    return str(error) if ours else type(error).__name__
