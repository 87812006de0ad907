"""What the ledger says of the whole deployment: the same whichever web process is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from time import perf_counter

import structlog
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ledger import occurrences, vitals, workers
from ledger.database import Database, unit_of_work
from ledger.history import History, Sums
from ledger.occurrences import Seen
from ledger.tables import REQUEST_STATES, RUN_OUTCOMES, RUN_PURPOSES
from ledger.vitals import LiveRun, ModelVitals, ReplicaVitals, Unfinished
from service.collectors.families import counter, counters, gauge, gauges, histogram

log = structlog.get_logger(__name__)

PATIENCE = "SET LOCAL statement_timeout = '5s'"
"""A scrape gives up before Prometheus does, so that scrapes do not pile up on a database in trouble."""

NEVER = Seen(0, math.inf)
OF_MODELS: tuple[tuple[str, str, Callable[[ModelVitals], float]], ...] = (
    ("alteraser_model_version", "Generation that the model's pointer names.", lambda model: model.version),
    ("alteraser_model_watermark", "Erasure watermark of that generation.", lambda model: model.watermark),
    ("alteraser_model_owed_requests", "Requests whose data the model still holds.", lambda model: model.owed.count),
    (
        "alteraser_model_watermark_lag_seconds",
        "Age of the oldest request whose data the model still holds.",
        lambda model: model.owed.oldest_s,
    ),
    (
        "alteraser_certificates_awaited",
        "Published runs whose certificate is still to be made.",
        lambda model: model.uncertified.count,
    ),
    (
        "alteraser_certificate_oldest_awaited_age_seconds",
        "Time since the first of them was published.",
        lambda model: model.uncertified.oldest_s,
    ),
    (
        "alteraser_snapshots_awaiting_destruction",
        "Superseded snapshots on the disk that hold data of a request.",
        lambda model: model.undestroyed.count,
    ),
    (
        "alteraser_snapshot_oldest_awaiting_destruction_age_seconds",
        "Time since the first of them was superseded.",
        lambda model: model.undestroyed.oldest_s,
    ),
)
OF_REPLICAS: tuple[tuple[str, str, Callable[[ReplicaVitals], float]], ...] = (
    ("alteraser_replica_live", "Whether deletions wait for the replica.", lambda replica: replica.live),
    (
        "alteraser_replica_heartbeat_age_seconds",
        "Time since the replica was last heard.",
        lambda replica: replica.heartbeat_age_s,
    ),
    (
        "alteraser_replica_versions_behind",
        "Generations between what the replica serves and the current one.",
        lambda replica: replica.versions_behind,
    ),
    (
        "alteraser_replica_watermark_lag",
        "How far the replica's watermark is behind the model's.",
        lambda replica: replica.watermark_lag,
    ),
)


class LedgerCollector(Collector):
    """How the deployment is, by the ledger; where that cannot be read, only `alteraser_ledger_up` is there, and is 0.

    Attributes:
        database: The ledger.
        replica_timeout_s: Seconds of silence after which a replica is dead.
    """

    def __init__(self, database: Database, replica_timeout_s: float) -> None:
        self.database = database
        self.replica_timeout_s = replica_timeout_s
        self._history = History()

    def collect(self) -> Iterable[Metric]:
        """Read the ledger, in one transaction."""
        started_at = perf_counter()
        try:
            with unit_of_work(self.database) as session:
                session.execute(text(PATIENCE))
                families = list(self._read(session))
        except SQLAlchemyError as error:
            log.error("metrics_not_read", error=type(error).__name__)
            return [gauge("alteraser_ledger_up", "Whether the ledger can be read.", 0)]
        took_s = perf_counter() - started_at
        return [
            gauge("alteraser_ledger_up", "Whether the ledger can be read.", 1),
            gauge("alteraser_ledger_read_seconds", "How long it took to read the ledger for this scrape.", took_s),
            *families,
        ]

    def _read(self, session: Session) -> Iterator[Metric]:
        models = vitals.models(session)
        yield from _history(self._history.read(session), [model.name for model in models])
        yield from _unfinished(vitals.unfinished(session))
        yield from _live_runs(vitals.live_runs(session))
        yield from _models(models)
        yield from _replicas(vitals.replicas(session, self.replica_timeout_s))
        yield from _signs_of_life(session)
        yield from _outbox_and_log(session)


def _history(sums: Sums, models: Sequence[str]) -> Iterator[Metric]:
    """What has ended so far; what has not happened yet counts 0, for Prometheus sees no increase to a first value."""
    by_state = (((state,), sums.states[state]) for state in REQUEST_STATES)
    yield gauges("alteraser_deletion_requests", "Requests in each state.", ["state"], by_state)
    yield gauge("alteraser_deletion_attempts", "Times a run took a request, over all requests.", sums.attempts)
    yield histogram(
        "alteraser_deletion_duration_seconds",
        "From recorded to each later clock of a request.",
        ["clock"],
        (((clock,), durations) for clock, durations in sums.clocks.items()),
    )
    outcomes = dict.fromkeys(product(models, RUN_PURPOSES, RUN_OUTCOMES), 0)
    outcomes |= {names: sum(durations.buckets) for names, durations in sums.runs.items()}
    labels = ["model", "purpose", "outcome"]
    said = "Runs that have ended; `expired` ones lost their lease."
    yield counters("alteraser_runs", said, labels, outcomes.items())
    yield histogram("alteraser_run_duration_seconds", "From the lease to the end of a run.", labels, sums.runs.items())
    settled = {"made": sums.certified, "missing": sums.uncertified}
    certificates = [((model, how), settled[how][model]) for model, how in product(models, settled)]
    said = "Published runs whose certificate is settled."
    yield counters("alteraser_certificates", said, ["model", "outcome"], certificates)


def _unfinished(now: Unfinished) -> Iterator[Metric]:
    yield gauge("alteraser_deletion_requests_overdue", "Requests past their due date.", now.overdue)
    yield gauge(
        "alteraser_deletion_requests_held", "Requests that failed repeatedly and rest before the next try.", now.held
    )
    yield gauge("alteraser_deletion_requests_failing", "Open requests whose last run failed.", now.failing)
    yield gauge(
        "alteraser_deletion_oldest_open_age_seconds", "Age of the oldest request that has not ended.", now.oldest_s
    )
    yield gauge(
        "alteraser_deletion_oldest_unsuppressed_age_seconds",
        "Age of the oldest request that some live replica does not obey yet.",
        now.unsuppressed_s,
    )
    due = () if now.due_in_s is None else (((), now.due_in_s),)
    said = "Time until the first open request is due, negative once it is overdue; absent where none is open."
    yield gauges("alteraser_deletion_due_in_seconds", said, [], due)


def _live_runs(live: Sequence[LiveRun]) -> Iterator[Metric]:
    phases = [((run.model, run.purpose, run.phase or "leased"), 1) for run in live]
    yield gauges("alteraser_runs_live", "Runs that a worker is at.", ["model", "purpose", "phase"], phases)
    residuals = [((run.model,), run.residual) for run in live if run.residual is not None]
    yield gauges("alteraser_run_residual", "Relative residual of the live run.", ["model"], residuals)
    ages = [((run.model,), run.age_s) for run in live]
    yield gauges("alteraser_run_age_seconds", "Time since the live run was leased.", ["model"], ages)
    beats = [((run.model,), run.heartbeat_age_s) for run in live]
    yield gauges("alteraser_run_heartbeat_age_seconds", "Time since the live run's last heartbeat.", ["model"], beats)


def _models(models: Sequence[ModelVitals]) -> Iterator[Metric]:
    for name, documentation, reading in OF_MODELS:
        yield gauges(name, documentation, ["model"], [((each.name,), reading(each)) for each in models])


def _replicas(replicas: Sequence[ReplicaVitals]) -> Iterator[Metric]:
    for name, documentation, reading in OF_REPLICAS:
        values = [((each.replica_id, each.model), reading(each)) for each in replicas]
        yield gauges(name, documentation, ["replica", "model"], values)


def _signs_of_life(session: Session) -> Iterator[Metric]:
    seen = occurrences.seen(session)
    sweep, deaf = seen.get("sweep", NEVER), seen.get("worker_deaf", NEVER)
    yield counter("alteraser_sweeps", "Sweeps that have ended.", sweep.count)
    yield gauge("alteraser_sweep_age_seconds", "Time since a sweep ended; infinite before the first.", sweep.age_s)
    restarts = "Times a worker was connected but heard nothing, and started itself again."
    yield counter("alteraser_worker_deaf_restarts", restarts, deaf.count)
    silences = [((each.owner,), each.silence_s) for each in workers.progress(session)]
    silence = "Time since the worker took a ring or sent a heartbeat of a run."
    yield gauges("alteraser_worker_silence_seconds", silence, ["worker"], silences)


def _outbox_and_log(session: Session) -> Iterator[Metric]:
    waiting, entries = vitals.callbacks(session), vitals.log(session)
    yield gauge("alteraser_callbacks_waiting", "Callbacks that are still to be delivered.", waiting.count)
    yield gauge("alteraser_callbacks_oldest_waiting_age_seconds", "Age of the oldest of them.", waiting.oldest_s)
    yield counter("alteraser_log_entries", "Entries of the log.", entries.entries)
    yield gauge("alteraser_log_unsigned_entries", "Entries that no checkpoint has signed yet.", entries.unsigned)
