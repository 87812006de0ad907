"""`python -m workers worker` and `python -m workers beat`."""

from __future__ import annotations

import argparse
import sys

import structlog

from workers.app import create_app
from workers.logs import log_as_json
from workers.settings import WorkerSettings

log = structlog.get_logger(__name__)


def main() -> int:
    """Run the process named on the command line until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m workers", description=__doc__)
    parser.add_argument("process", choices=("worker", "beat"))
    process = parser.parse_args().process
    log_as_json()
    return _worker() if process == "worker" else _beat()


def _worker() -> int:
    """Take doorbells until SIGTERM or SIGINT; the task at hand is finished first."""
    import torch

    from workers.tasks import register
    from workers.workbench import open_workbench

    settings = WorkerSettings()
    if settings.worker_threads is not None:
        torch.set_num_threads(settings.worker_threads)
    app = create_app(settings)
    register(app, open_workbench(settings))
    worker = app.Worker(quiet=True, without_gossip=True, without_mingle=True, without_heartbeat=True)
    log.info("worker_started", threads=torch.get_num_threads(), device=settings.worker_device)
    worker.start()
    return int(worker.exitcode or 0)


def _beat() -> int:
    """Ring the sweep's doorbell until SIGTERM or SIGINT."""
    create_app(WorkerSettings()).Beat(quiet=True, loglevel="INFO").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
