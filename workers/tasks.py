"""The Celery tasks: what each doorbell sets going. What there is to do stands in the ledger, not in them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from celery import Celery

from alteraser.errors import AlteraserError
from ledger.database import unit_of_work
from ledger.doorbell import COMPLETE, SWEEP, UNLEARN
from ledger.errors import LedgerError
from ledger.sweep import models_with_work
from workers.certificates import certify_published
from workers.completion import complete_ready
from workers.dispatcher import Dispatcher
from workers.errors import WorkerError
from workers.hearing import Hearing
from workers.pipeline import run_once
from workers.presence import Presence
from workers.restores import notice_restore, retrain_behind
from workers.sweep import OverdueAlarm, sweep_once
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def register(app: Celery, workbench: Workbench, hearing: Hearing, dispatcher: Dispatcher) -> None:
    """Give the application its tasks, each with this worker's connections; after each the dispatcher looks."""
    sweep = AtMostEvery(workbench.settings.worker_sweep_s / 2, notice_restore, sweep_once, OverdueAlarm())
    steps: dict[str, tuple[Callable[[Workbench], object], ...]] = {
        UNLEARN: (notice_restore, retrain_behind, unlearn_pending, certify_published, complete_ready),
        COMPLETE: (notice_restore, complete_ready),
        SWEEP: (sweep,),
    }
    presence = Presence()
    for name, taken in steps.items():
        app.task(_task(name, (presence, *taken, dispatcher.call), workbench, hearing), name=name)


class AtMostEvery:
    """Steps that a pile of rings sets going once: those that come too soon after the last are not answered.

    It goes by this process's stopwatch. Rings pile up while no worker listens, and where several beats ring.
    """

    def __init__(self, seconds: float, *steps: Callable[[Workbench], object]) -> None:
        self._seconds = seconds
        self._steps = steps
        self._next_at = -math.inf

    def __call__(self, workbench: Workbench) -> None:
        """Take the steps, unless they were taken a moment ago."""
        if time.monotonic() < self._next_at:
            return
        for step in self._steps:
            step(workbench)
        self._next_at = time.monotonic() + self._seconds


def unlearn_pending(workbench: Workbench) -> None:
    """Run every model that has work, one after the other; one that fails does not hold up the next.

    A worker that was told to stop begins no other.
    """
    with unit_of_work(workbench.database) as session:
        models = models_with_work(session)
    for model in models:
        if workbench.shutdown.is_told:
            return
        with suppress(AlteraserError, LedgerError, WorkerError):  # recorded with the run, and logged
            run_once(workbench, model)


def _task(
    name: str, steps: Sequence[Callable[[Workbench], object]], workbench: Workbench, hearing: Hearing
) -> Callable[[], None]:
    """Make a task of the steps. This is the edge: what they raise is logged, and left to the next sweep."""

    def task() -> None:
        hearing.begin()
        try:
            for step in steps:
                step(workbench)
        except Exception:
            log.exception("task_failed", task=name)
        finally:
            hearing.end()

    return task
