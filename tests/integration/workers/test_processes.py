"""The worker and beat as processes: started as in production, told to stop with SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import redis

from ledger import requests
from ledger.database import unit_of_work
from ledger.doorbell import QUEUE, UNLEARN, redis_url
from workers.liveness import overdue_s
from workers.settings import WorkerSettings
from workers.workbench import Workbench

PATIENCE_S = 60.0


@pytest.fixture
def start(settings: WorkerSettings, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start `python -m workers ...`; whatever is left of it afterwards is killed."""
    names = ("database_url", "broker_url", "snapshot_dir", "secrets_dir")
    environment = {f"ALTERASER_{name.upper()}": str(getattr(settings, name)) for name in names}
    environment |= {"ALTERASER_WORKER_SWEEP_S": "0.5", "ALTERASER_WORKER_THREADS": "1"}
    environment |= {"ALTERASER_WORKER_LIVENESS_FILE": str(tmp_path / "alive")}
    started: list[subprocess.Popen[bytes]] = []

    def run(process: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "workers", process]
        with (tmp_path / f"{process}.log").open("wb") as log:
            started.append(subprocess.Popen(command, env={**os.environ, **environment}, stdout=log))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool]) -> None:
    patient_until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < patient_until, "it did not happen in time"
        time.sleep(0.02)


def exit_code(process: subprocess.Popen[bytes]) -> int:
    process.send_signal(signal.SIGTERM)
    return process.wait(PATIENCE_S)


def test_a_rung_worker_unlearns_certifies_and_ends_when_told_to(
    trained: Workbench,
    ask: Callable[..., UUID],
    start: Callable[[str], subprocess.Popen[bytes]],
    tmp_path: Path,
) -> None:
    request_id = ask(user="7")
    worker = start("worker")
    trained.doorbell.ring(UNLEARN)

    def is_certified() -> bool:
        with unit_of_work(trained.database) as session:
            (model,) = requests.get(session, "acme", request_id).models
        return model.certificate is not None

    until(is_certified)
    assert overdue_s(tmp_path / "alive") < 0
    assert exit_code(worker) == 0
    lines = (tmp_path / "worker.log").read_text().splitlines()
    events = {json.loads(line)["event"] for line in lines if line.startswith("{")}
    assert events >= {"worker_started", "run_leased", "child_published", "child_certified"}


@pytest.mark.parametrize("process", ["worker", "beat"])
def test_a_process_without_its_settings_says_what_is_missing(process: str) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith("ALTERASER_")}
    command = [sys.executable, "-m", "workers", process]
    refused = subprocess.run(command, env=bare, capture_output=True, text=True)
    assert refused.returncode == 2
    (line,) = refused.stderr.splitlines()
    assert "ALTERASER_DATABASE_URL: Field required" in line


def test_beat_rings_for_a_sweep_and_ends_when_told_to(
    workbench: Workbench, start: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    beat = start("beat")
    with redis.Redis.from_url(redis_url(workbench.settings.broker_url)) as client:
        until(lambda: bool(client.llen(QUEUE)))
    until(lambda: overdue_s(tmp_path / "alive") < 0)
    assert exit_code(beat) == 0
