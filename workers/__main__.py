"""`python -m workers worker` and `python -m workers beat`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys

import structlog
from celery.beat import Service
from celery.signals import after_task_publish, setup_logging
from pydantic import ValidationError

from alteraser import crash
from alteraser.errors import UnknownCrashPoint
from ledger.errors import SecretMalformed, SecretMissing, TracingRefused
from ledger.logs import log_as_json
from ledger.settings import faults
from ledger.tracing import trace_as_asked
from workers.app import create_app
from workers.liveness import Liveness, silence_s
from workers.settings import WorkerSettings

REFUSED = 2

log = structlog.get_logger(__name__)


def main() -> int:
    """Run the process named on the command line until told to stop; 0 then, 2 where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("process", choices=("worker", "beat"))
    parser.add_argument("--was-deaf", action="store_true", help="a worker adds it that starts itself again")
    arguments = parser.parse_args()
    process = arguments.process
    _log_what_matters()
    try:
        settings = WorkerSettings()
        if settings.crash_at is not None:
            crash.arm(settings.crash_at)
        trace_as_asked(process)
        return _worker(settings, was_deaf=arguments.was_deaf) if process == "worker" else _beat(settings)
    except ValidationError as error:
        return _refuse(process, faults(error))
    except (SecretMissing, SecretMalformed, TracingRefused, UnknownCrashPoint) as error:
        return _refuse(process, str(error))


def _worker(settings: WorkerSettings, *, was_deaf: bool) -> int:
    """Take doorbells until SIGTERM or SIGINT; what is at hand is finished first, or given back."""
    import torch

    from workers import presence
    from workers.dispatcher import Dispatcher
    from workers.hearing import Hearing, start_again
    from workers.tasks import register
    from workers.workbench import open_workbench

    if settings.worker_threads is not None:
        torch.set_num_threads(settings.worker_threads)
    app = create_app(settings)
    hearing = Hearing(settings)
    workbench = open_workbench(settings)
    dispatcher = Dispatcher(workbench)
    register(app, workbench, hearing, dispatcher)
    workbench.shutdown.await_signal()
    worker = app.Worker(quiet=True, without_gossip=True, without_mingle=True, without_heartbeat=True)
    log.info("worker_started", threads=torch.get_num_threads(), device=settings.worker_device)
    hearing.watch(start_again)
    dispatcher.start()
    presence.begin(workbench, was_deaf=was_deaf)
    worker.start()
    presence.end(workbench)
    return int(worker.exitcode or 0)


def _beat(settings: WorkerSettings) -> int:
    """Ring the sweep's doorbell until SIGTERM or SIGINT."""
    log.info("beat_started", every_s=settings.worker_sweep_s)
    app = create_app(settings)
    service = Service(app, scheduler_cls=app.conf.beat_scheduler)
    _show_rings(Liveness(settings.worker_liveness_file), settings.worker_sweep_s)
    for number in (signal.SIGTERM, signal.SIGINT):
        # Celery's own handler raises SystemExit wherever the signal strikes, and is not always heard
        signal.signal(number, lambda _number, _frame: service.stop())
    service.start()
    return 0


def _show_rings(liveness: Liveness, sweep_s: float) -> None:
    """Have every ring that reaches the broker show that beat gets on."""

    def ring(**_: object) -> None:
        liveness.beat(silence_s(sweep_s))

    after_task_publish.connect(ring, weak=False)


def _refuse(process: str, reason: str) -> int:
    sys.stderr.write(f"alteraser {process}: {reason}\n")
    return REFUSED


def _log_what_matters() -> None:
    log_as_json()
    logging.captureWarnings(True)
    logging.getLogger("celery").setLevel(logging.WARNING)  # else two lines a sweep that say nothing
    setup_logging.connect(_already_set_up)


def _already_set_up(**_: object) -> None:
    """Do nothing: Celery leaves logging alone where its signal has a receiver."""


if __name__ == "__main__":
    sys.exit(main())
