"""The Celery tasks: what each doorbell sets going. What there is to do stands in the ledger, not in them."""

from __future__ import annotations

from collections.abc import Callable
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
from workers.errors import WorkerError
from workers.pipeline import run_once
from workers.sweep import OverdueAlarm, sweep_once
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def register(app: Celery, workbench: Workbench) -> None:
    """Give the application its tasks, each with this worker's connections."""
    alarm = OverdueAlarm()
    _register(app, workbench, UNLEARN, unlearn_pending, certify_published, complete_ready)
    _register(app, workbench, COMPLETE, complete_ready)
    _register(app, workbench, SWEEP, sweep_once, alarm)


def unlearn_pending(workbench: Workbench) -> None:
    """Run every model that has work, one after the other; one that fails does not hold up the next."""
    with unit_of_work(workbench.database) as session:
        models = models_with_work(session)
    for model in models:
        with suppress(AlteraserError, LedgerError, WorkerError):  # recorded with the run, and logged
            run_once(workbench, model)


def _register(app: Celery, workbench: Workbench, name: str, *steps: Callable[[Workbench], object]) -> None:
    """Make a task of the steps. This is the edge: what they raise is logged, and left to the next sweep."""

    def task() -> None:
        try:
            for step in steps:
                step(workbench)
        except Exception:
            log.exception("task_failed", task=name)

    app.task(task, name=name)
