"""How the deployment is at this moment, by the ledger: what is open, live, behind or still to be destroyed.

Each reading touches only rows that are open, live or current, however long the history is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from ledger.certificates import awaits_certificate
from ledger.replicas import is_live
from ledger.states import is_held, is_overdue
from ledger.tables import (
    OPEN_STATES,
    UNFINISHED_STATES,
    Callback,
    DeletionRequest,
    LogCheckpoint,
    LogHead,
    Model,
    Replica,
    RequestModel,
    Run,
    Snapshot,
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The requests that are neither completed nor cancelled.

    Attributes:
        overdue: How many are past their due date.
        held: How many failed so often that they rest, each divided from the others.
        failing: How many have a failed run behind them and no good one since.
        oldest_s: Age of the oldest; 0 where there is none.
        unsuppressed_s: Age of the oldest that some live replica does not obey yet; 0 where there is none.
        due_in_s: Time until the first is due, negative once it is overdue; None where there is none.
    """

    overdue: int
    held: int
    failing: int
    oldest_s: float
    unsuppressed_s: float
    due_in_s: float | None


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run that a worker is at. `phase` and `residual` are None until its first heartbeat says them."""

    model: str
    purpose: str
    phase: str | None
    residual: float | None
    age_s: float
    heartbeat_age_s: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait for something, and for how long the first of them has; 0 where there is none."""

    count: int
    oldest_s: float


NONE = Waiting(0, 0.0)


@dataclass(frozen=True, slots=True)
class ModelVitals:
    """A model, and what it owes.

    Attributes:
        name: Of the model.
        version: Of the generation its pointer names.
        watermark: The erasure watermark it satisfies.
        owed: Requests whose data it still holds, since they were recorded.
        uncertified: Published runs whose certificate is still to be made, since they were published.
        undestroyed: Snapshots on the disk that hold data of a request, since they were superseded.
    """

    name: str
    version: int
    watermark: int
    owed: Waiting
    uncertified: Waiting
    undestroyed: Waiting


@dataclass(frozen=True, slots=True)
class ReplicaVitals:
    """A replica that has not signed off, and one model it follows.

    Attributes:
        replica_id: Of the process.
        model: Name of the model.
        live: Whether deletions wait for it.
        heartbeat_age_s: Time since it was last heard.
        versions_behind: Generations between what it serves and the current one.
        watermark_lag: How far its watermark is behind the model's.
    """

    replica_id: str
    model: str
    live: bool
    heartbeat_age_s: float
    versions_behind: int
    watermark_lag: int


@dataclass(frozen=True, slots=True)
class LogVitals:
    """How many entries the log has, and how many of them no checkpoint has signed yet."""

    entries: int
    unsigned: int


def unfinished(session: Session) -> Unfinished:
    """The requests that are neither completed nor cancelled."""
    unsuppressed = _age_s(func.min(DeletionRequest.recorded_at).filter(DeletionRequest.suppressed_at.is_(None)))
    row = session.execute(
        select(
            func.count().filter(is_overdue()),
            func.count().filter(is_held()),
            func.count(DeletionRequest.failure),
            _age_s(func.min(DeletionRequest.recorded_at)),
            unsuppressed,
            _age_s(func.min(DeletionRequest.due_at)),
        ).where(DeletionRequest.state.in_(UNFINISHED_STATES))
    ).one()
    overdue, held, failing, oldest_s, unsuppressed_s, past_due_s = row
    due_in_s = None if past_due_s is None else -float(past_due_s)
    return Unfinished(overdue, held, failing, float(oldest_s or 0), float(unsuppressed_s or 0), due_in_s)


def live_runs(session: Session) -> Sequence[LiveRun]:
    """The runs that workers are at."""
    said = Run.model, Run.purpose, Run.phase, Run.residual
    ages = _age_s(Run.started_at), _age_s(Run.heartbeat_at)
    found = session.execute(select(*said, *ages).where(Run.state == "live").order_by(Run.model))
    return [
        LiveRun(model, purpose, phase, residual, float(age_s), float(heartbeat_age_s))
        for model, purpose, phase, residual, age_s, heartbeat_age_s in found
    ]


def models(session: Session) -> Sequence[ModelVitals]:
    """Every model, and what it owes."""
    found = session.execute(select(Model.name, Model.version, Model.watermark).order_by(Model.name))
    owing = _owed(session), _uncertified(session), _undestroyed(session)
    return [ModelVitals(*model, *(waiting.get(model.name, NONE) for waiting in owing)) for model in found]


def replicas(session: Session, replica_timeout_s: float) -> Sequence[ReplicaVitals]:
    """Every replica that has not signed off, once for each model it follows."""
    of_model = Snapshot.model == Replica.model
    served = select(func.max(Snapshot.version)).where(of_model, Snapshot.digest == Replica.snapshot).scalar_subquery()
    found = session.execute(
        select(
            Replica.replica_id,
            Replica.model,
            is_live(replica_timeout_s),
            _age_s(Replica.heartbeat_at),
            Model.version - func.coalesce(served, 0),
            Model.watermark - Replica.watermark,
        )
        .join(Model, Model.name == Replica.model)
        .order_by(Replica.replica_id, Replica.model)
    )
    return [
        ReplicaVitals(replica_id, model, live, float(age_s), versions_behind, watermark_lag)
        for replica_id, model, live, age_s, versions_behind, watermark_lag in found
    ]


def callbacks(session: Session) -> Waiting:
    """The changes of state that somebody is still to be told of."""
    waits = Callback.next_attempt_at.is_not(None)
    n_waiting, oldest_s = session.execute(
        select(func.count(), _age_s(func.min(Callback.changed_at))).where(waits)
    ).one()
    return Waiting(n_waiting, float(oldest_s or 0))


def log(session: Session) -> LogVitals:
    """How long the log is, and how much of it is signed."""
    entries = session.execute(select(LogHead.size)).scalar_one()
    signed = session.scalar(select(func.max(LogCheckpoint.size))) or 0
    return LogVitals(entries, entries - signed)


def _owed(session: Session) -> dict[str, Waiting]:
    """The requests whose data a model still holds."""
    asked = select(RequestModel.model, func.count(), _age_s(func.min(DeletionRequest.recorded_at)))
    joined = asked.join(DeletionRequest, DeletionRequest.id == RequestModel.request_id)
    return _by_model(
        session,
        joined.where(RequestModel.state != "published", DeletionRequest.state.in_(OPEN_STATES)).group_by(
            RequestModel.model
        ),
    )


def _uncertified(session: Session) -> dict[str, Waiting]:
    """The published runs whose certificate is still to be made."""
    published = select(Run.model, func.count(), _age_s(func.min(Run.ended_at)))
    return _by_model(session, published.where(awaits_certificate()).group_by(Run.model))


def _undestroyed(session: Session) -> dict[str, Waiting]:
    """The superseded snapshots on the disk that hold data which a later generation was made without."""
    later = aliased(Snapshot)
    is_later = and_(later.model == Snapshot.model, later.version > Snapshot.version)
    asked = select(RequestModel.request_id).join(later, RequestModel.run_id == later.run_id).where(is_later)
    on_disk = select(Snapshot.model, func.count(), _age_s(func.min(Snapshot.superseded_at)))
    return _by_model(
        session,
        on_disk.where(
            Snapshot.superseded_at.is_not(None), Snapshot.destroyed_at.is_(None), asked.correlate(Snapshot).exists()
        ).group_by(Snapshot.model),
    )


def _by_model(session: Session, counted: Select[str, int, Any]) -> dict[str, Waiting]:
    return {model: Waiting(n_waiting, float(oldest_s)) for model, n_waiting, oldest_s in session.execute(counted)}


def _age_s(since: Any) -> ColumnElement[Any]:
    return func.extract("epoch", func.clock_timestamp() - since)
