"""The whole system over HTTP, with its worker killed in the middle of forgetting someone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from sqlalchemy import func, select

from alteraser import snapshot
from alteraser.synthetic import synthetic
from ledger import api_keys, interactions, receipts, replicas
from ledger.database import unit_of_work
from ledger.pseudonym import Pseudonyms
from ledger.tables import Receipt, Run
from workers.settings import WorkerSettings
from workers.training import train_once
from workers.workbench import Workbench, open_workbench

T = TypeVar("T")

MODEL = "main"
USER = "42"
NEVER_SEEN = "nobody"
LEASE_S = 3.0
PATIENCE_S = 45.0
LOOK_EVERY_S = 0.005


class Stack:
    """The processes of one deployment, each started by its own command."""

    def __init__(self, settings: WorkerSettings, logs: Path) -> None:
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        names = ("database_url", "broker_url", "snapshot_dir", "secrets_dir")
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ALTERASER_")},
            **{f"ALTERASER_{name.upper()}": str(getattr(settings, name)) for name in names},
            "ALTERASER_SERVICE_PORT": "0",
            "ALTERASER_WORKER_LEASE_S": str(LEASE_S),
            "ALTERASER_WORKER_SWEEP_S": "0.5",
            "ALTERASER_WORKER_THREADS": "1",
            "ALTERASER_WORKER_TOLERANCE": "1e-8",  # a run that takes long enough to be met in the middle
            "OMP_NUM_THREADS": "1",
        }

    def start(self, name: str, *command: str) -> None:
        """Start `python -m ...`."""
        arguments = [sys.executable, "-m", *command]
        with self.log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                arguments, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )

    def log(self, name: str) -> Path:
        """What the process writes."""
        return self._logs / f"{name}.log"

    def kill(self, name: str) -> None:
        """End a process as the kernel does when memory runs out: at once, whatever it is doing."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def end(self) -> None:
        """End whatever still runs."""
        for name in list(self._running):
            self.kill(name)


@pytest.fixture
def workbench(database_url: str, broker_url: str, secrets_dir: Path, tmp_path: Path) -> Iterator[Workbench]:
    """The ledger of a deployment that has data, and so far no model."""
    settings = WorkerSettings(
        database_url=database_url,
        broker_url=broker_url,
        secrets_dir=secrets_dir,
        snapshot_dir=tmp_path / "snapshots",
    )
    opened = open_workbench(settings)
    with unit_of_work(opened.database) as session:
        interactions.import_log(session, synthetic(2000, 1200, 100_000, seed=1), Pseudonyms.load(secrets_dir))
    yield opened
    opened.close()


@pytest.fixture
def stack(workbench: Workbench, tmp_path: Path) -> Iterator[Stack]:
    """Web, beat, and the worker that is going to be killed."""
    started = Stack(workbench.settings, tmp_path)
    started.start("web", "service")
    started.start("beat", "workers", "beat")
    started.start("worker", "workers", "worker")
    yield started
    started.end()


@pytest.fixture
def caller(workbench: Workbench, stack: Stack) -> Iterator[httpx.Client]:
    """Someone with an API key, once a model is trained and served."""
    train_once(workbench, MODEL, given={"d": 8, "saturate": 0})
    with unit_of_work(workbench.database) as session:
        key = api_keys.create(session, "acme", "test", api_keys.SCOPES)
    port = until(lambda: port_in(stack.log("web")))
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE_S) as client:
        until(lambda: is_ready(client))
        yield client


def is_ready(client: httpx.Client) -> bool:
    """Whether the web process answers, and says that it is ready."""
    try:
        return client.get("/readyz").is_success
    except httpx.ConnectError:
        return False


def until(look: Callable[[], T]) -> T:
    """Look until what is seen is truthy."""
    patient_until = time.monotonic() + PATIENCE_S
    while not (seen := look()):
        assert time.monotonic() < patient_until, "it did not happen in time"
        time.sleep(LOOK_EVERY_S)
    return seen


def port_in(log: Path) -> int | None:
    for line in log.read_text().splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") == "web_started":
            return int(event["port"])
    return None


def runs(workbench: Workbench) -> list[str]:
    """The states of all unlearning runs, oldest first."""
    with unit_of_work(workbench.database) as session:
        wanted = select(Run.state).where(Run.purpose == "unlearn").order_by(Run.started_at)
        return list(session.scalars(wanted))


def current(workbench: Workbench) -> str:
    with unit_of_work(workbench.database) as session:
        digest = replicas.current(session, MODEL).digest
    assert digest is not None
    return digest


def recommended(caller: httpx.Client, user: str) -> Any:
    return caller.get(f"/v1/users/{user}/recommendations").raise_for_status().json()


def test_a_worker_killed_in_mid_run_is_succeeded_and_the_request_completed_once(
    workbench: Workbench, stack: Stack, caller: httpx.Client
) -> None:
    parent = current(workbench)
    assert recommended(caller, USER) != recommended(caller, NEVER_SEEN)

    answer = caller.post("/v1/deletion-requests", json={"subject": USER}, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 201
    assert recommended(caller, USER) == recommended(caller, NEVER_SEEN)
    until(lambda: runs(workbench) == ["live"])
    stack.kill("worker")
    assert runs(workbench) == ["live"]
    assert current(workbench) == parent

    stack.start("successor", "workers", "worker")
    status = caller.get(answer.headers["Location"], params={"wait": PATIENCE_S}).raise_for_status().json()
    assert status["state"] == "completed"
    assert status["attempts"] >= 2
    assert (runs(workbench)[0], runs(workbench).count("published")) == ("expired", 1)

    child = current(workbench)
    assert USER not in snapshot.read(workbench.snapshots, child).interactions.users
    until(lambda: [folder.name for folder in workbench.snapshots.iterdir()] == [child])
    assert recommended(caller, USER) == recommended(caller, NEVER_SEEN)
    with unit_of_work(workbench.database) as session:
        assert interactions.count(session, USER) == 0
        assert session.scalar(select(func.count()).select_from(Receipt)) == 1

    again = caller.post("/v1/deletion-requests", json={"subject": USER}, headers={"Idempotency-Key": "k1"})
    assert again.json()["id"] == status["id"]
    jws = caller.get(status["links"]["receipt"]).raise_for_status().text
    claims = receipts.verify(jws, caller.get("/.well-known/jwks.json").json())
    assert claims["request_id"] == status["id"]
    assert [generation["snapshot"] for generation in claims["destroyed"]] == [parent]
    assert [model["child"] for model in claims["models"]] == [child]
