"""A worker that is told to stop gives its run back: no request waits for a lease to run out, and none is blamed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from ledger.database import unit_of_work
from ledger.doorbell import UNLEARN
from ledger.tables import DeletionRequest, Run
from tests.processes import wait_until
from workers.errors import ToldToStop
from workers.pipeline import run_once
from workers.tasks import unlearn_pending
from workers.workbench import Workbench

MODEL = "main"
PATIENCE_S = 60.0


def standing(workbench: Workbench, request_id: UUID) -> tuple[str, int]:
    """State and attempts of a request."""
    with unit_of_work(workbench.database) as session:
        request = session.get_one(DeletionRequest, request_id)
        return request.state, request.attempts


def run_states(workbench: Workbench) -> list[str]:
    """The states of all runs, oldest first."""
    with unit_of_work(workbench.database) as session:
        return list(session.scalars(select(Run.state).order_by(Run.started_at)))


@pytest.fixture
def told(trained: Workbench) -> Workbench:
    """A worker that was told to stop and has no time left."""
    trained.shutdown.within_s = 0.0
    trained.shutdown.tell()
    return trained


def test_a_run_that_is_not_over_in_time_is_given_back_unblamed_and_taken_at_once(
    told: Workbench, ask: Callable[..., UUID]
) -> None:
    request_id = ask(user="7")
    with pytest.raises(ToldToStop):
        run_once(told, MODEL)
    assert standing(told, request_id) == ("pending", 0)
    assert run_states(told)[-1] == "expired"
    told.shutdown.within_s = PATIENCE_S
    assert run_once(told, MODEL)
    assert standing(told, request_id) == ("unlearned", 1)


def test_a_worker_that_was_told_to_stop_begins_no_run(told: Workbench, ask: Callable[..., UUID]) -> None:
    before = run_states(told)
    ask(user="7")
    unlearn_pending(told)
    assert run_states(told) == before


@pytest.fixture
def stopped_in_its_run(trained: Workbench, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process that stops itself at the first step of its first run, and has no time once told to end."""
    names = ("database_url", "broker_url", "snapshot_dir", "secrets_dir")
    told = {f"ALTERASER_{name.upper()}": str(getattr(trained.settings, name)) for name in names}
    told |= {"ALTERASER_WORKER_STOP_S": "0", "ALTERASER_WORKER_THREADS": "1"}
    told |= {"ALTERASER_CRASH_AT": "unlearn.step:1:stop"}
    with (tmp_path / "worker.log").open("wb") as log:
        worker = subprocess.Popen([sys.executable, "-m", "workers", "worker"], env={**os.environ, **told}, stdout=log)
    yield worker
    worker.kill()
    worker.wait()


def test_a_worker_told_to_stop_in_the_middle_of_a_run_gives_it_back_and_ends(
    trained: Workbench, ask: Callable[..., UUID], stopped_in_its_run: subprocess.Popen[bytes]
) -> None:
    request_id = ask(user="7")
    trained.doorbell.ring(UNLEARN)
    wait_until(lambda: _is_stopped(stopped_in_its_run.pid), within_s=PATIENCE_S)
    assert standing(trained, request_id) == ("in_progress", 1)
    stopped_in_its_run.send_signal(signal.SIGTERM)
    stopped_in_its_run.send_signal(signal.SIGCONT)
    assert stopped_in_its_run.wait(PATIENCE_S) == 0
    assert standing(trained, request_id) == ("pending", 0)


def _is_stopped(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"
