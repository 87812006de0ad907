"""One whole deployment made to be broken: real PostgreSQL, Valkey, replicas, workers and beats, as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import redis
from sqlalchemy import CursorResult, text

import migrations
from alteraser.interaction_log import InteractionLog
from alteraser.synthetic import synthetic
from cli.embedded import EmbeddedPostgres, EmbeddedValkey
from cli.secret_files import make_secrets
from ledger import api_keys, interactions
from ledger.database import Database, connect, unit_of_work
from ledger.doorbell import Doorbell, redis_url
from ledger.pseudonym import Pseudonyms
from tests.faults.nursery import Nursery
from tests.faults.tripwires import TRIPWIRES
from tests.processes import is_alive, wait_until
from workers.settings import WorkerSettings
from workers.training import train_once
from workers.workbench import open_workbench

MODEL = "main"
TENANT = "shop"
N_PEOPLE, N_ITEMS, N_EACH = 600, 80, 15
"""People, items, and interactions of each person on average; where many people are needed, fewer of each."""
CROWD, N_EACH_OF_CROWD = 12_500, 6
LEASE_S, SWEEP_S, POLL_S, REPLICA_TIMEOUT_S, CALLBACK_TIMEOUT_S = 2.0, 0.3, 0.2, 2.0, 1.0
PATIENCE_S = 60.0
LOOK_EVERY_S, LOOK_S = 0.02, 1e-4
"""Seconds between two looks at requests: so many at least, and so many for each request, for looking costs too."""
TAIL_BYTES = 3000
DISK_BYTES = 48 << 20
MAX_CONNECTIONS = 60
SERVER = {"fsync": "off", "max_connections": str(MAX_CONNECTIONS)}
TIMED_OUT = httpx.Timeout(PATIENCE_S, connect=2.0)


class NeverReady(Exception):
    """A replica did not become ready in time."""

    def __init__(self, name: str, checks: str, tail: str) -> None:
        super().__init__(f"{name} never became ready: {checks}; the end of its log:\n{tail}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A deletion that was answered 201."""

    subject: str
    key: str
    request_id: str
    callback_url: str | None = None


class Site:
    """The deployment, what is running of it, and what was asked of it.

    Attributes:
        folder: Everything of it lies here.
        asked: Every deletion answered 201 so far.
        log: The interactions everybody had before anyone was forgotten.
        is_small_disk: Whether the snapshots lie on a disk of their own that can be filled.
    """

    def __init__(self, folder: Path, held: ExitStack, seed: int, n_people: int = N_PEOPLE) -> None:
        self.folder = folder
        self.n_people = n_people
        self.snapshots, self.logs, self.secrets = (folder / name for name in ("snapshots", "logs", "secrets"))
        self.asked: list[Asked] = []
        self.is_small_disk = False
        self._held = held
        self._pids: dict[str, int] = {}
        self._n_started = 0
        self._random = np.random.default_rng(seed)
        self._token = self._random.bytes(4).hex()
        self._never_asked = list(self._random.permutation(n_people) + 1)
        self.logs.mkdir()
        self.snapshots.mkdir()
        make_secrets(self.secrets)
        self._mount()
        self.nursery = Nursery(self.logs / "nursery.log")
        held.callback(self.nursery.close)
        self.postgres = EmbeddedPostgres(folder / "postgres", SERVER)
        self.valkey = EmbeddedValkey(folder / "valkey")
        held.callback(lambda: self.valkey.__exit__(None, None, None))
        held.callback(lambda: self.postgres.__exit__(None, None, None))
        self.postgres.__enter__()
        self.valkey.__enter__()
        self.database: Database = connect(self.postgres.url)
        held.callback(self.database.close)
        self.log = self._everything()
        self.key = self._fill()

    # --- processes ---

    def start(self, name: str, *command: str, **settings: str) -> None:
        """Start `python -m <command>` under a name, which no running process has, with added settings."""
        self._n_started += 1
        environment = {**self.environment, **{f"ALTERASER_{key.upper()}": value for key, value in settings.items()}}
        log = self.logs / f"{self._n_started:03d}-{name}.log"
        self._pids[name] = self.nursery.start(command, environment, log)

    def start_worker(self, name: str = "worker", **settings: str) -> None:
        """Start a worker."""
        self.start(name, "workers", "worker", **settings)

    def start_beat(self, name: str = "beat") -> None:
        """Start a beat."""
        self.start(name, "workers", "beat")

    def start_web(self, name: str = "web", **settings: str) -> None:
        """Start a replica and wait until it serves."""
        self.start(name, "service", **settings)
        try:
            wait_until(lambda: self.is_ready(name), within_s=PATIENCE_S)
        except TimeoutError as error:
            url = self.url(name)
            checks = "it does not listen" if url is None else httpx.get(f"{url}/readyz").text
            raise NeverReady(name, checks, self.tail(name)) from error

    def tail(self, name: str) -> str:
        """The end of what the process of that name last wrote, and of what its nursery did."""
        logs = [*sorted(self.logs.glob(f"*-{name}.log"))[-1:], self.logs / "nursery.log"]
        return "\n".join(log.read_text(errors="replace")[-TAIL_BYTES:] for log in logs)

    def adopt(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Know a process under a name that was started in another way."""
        self._pids[name] = process.pid

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process; whoever is killed is forgotten once it is gone."""
        pid = self._pids[name]
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            wait_until(lambda: not is_alive(pid), within_s=PATIENCE_S)
            del self._pids[name]

    def kill(self, name: str) -> None:
        """End a process as the kernel does when memory runs out."""
        self.send(name, signal.SIGKILL)

    def await_death(self, name: str) -> None:
        """Wait until a process has ended by itself."""
        pid = self._pids[name]
        wait_until(lambda: not is_alive(pid), within_s=PATIENCE_S)
        del self._pids[name]

    def await_stop(self, name: str) -> None:
        """Wait until a process has stopped itself."""
        stat = Path(f"/proc/{self._pids[name]}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", within_s=PATIENCE_S)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return dict(self._pids)

    def running(self, prefix: str = "") -> list[str]:
        """Names of the processes that run, stopped ones included."""
        return [name for name, pid in self._pids.items() if name.startswith(prefix) and is_alive(pid)]

    def as_usual(self) -> None:
        """Bring the deployment to its usual state: one worker, one beat, one replica, none of them armed."""
        for name in list(self._pids):
            if name not in ("worker", "beat", "web") or not is_alive(self._pids[name]):
                self.kill(name)
        for name, start in (("worker", self.start_worker), ("beat", self.start_beat), ("web", self.start_web)):
            if name not in self._pids:
                start()

    # --- what a caller sees ---

    def url(self, name: str = "web") -> str | None:
        """Where a replica answers, once it does."""
        pid = self._pids.get(name)
        logs = sorted(self.logs.glob(f"*-{name}.log"))
        if pid is None or not logs:
            return None
        for event in events(logs[-1]):
            if event.get("event") == "web_started":
                return f"http://127.0.0.1:{event['port']}"
        return None

    def is_ready(self, name: str = "web") -> bool:
        """Whether a replica says it is ready."""
        url = self.url(name)
        try:
            return url is not None and httpx.get(f"{url}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def get(self, path: str, name: str = "web", **query: Any) -> httpx.Response:
        """Ask a replica with the key."""
        return httpx.get(f"{self.url(name)}{path}", params=query, headers=self._headers(), timeout=TIMED_OUT)

    def someone(self) -> str:
        """A user nobody has asked to forget yet."""
        return self._user(int(self._never_asked.pop()))

    @property
    def n_people_left(self) -> int:
        """How many nobody has asked to forget yet."""
        return len(self._never_asked)

    def post(self, subject: str, key: str, name: str = "web", callback_url: str | None = None) -> httpx.Response | None:
        """Ask once that someone be forgotten; None where no answer came."""
        told = {} if callback_url is None else {"callback_url": callback_url}
        return self._post("", {"subject": subject, **told}, name, {"Idempotency-Key": key})

    def ask(self, subject: str, key: str | None = None, name: str = "web", callback_url: str | None = None) -> Asked:
        """Ask until the answer is 201, always under the same key, as a careful caller does."""
        key = key or self._new_key()
        answer = _answered(lambda: self.post(subject, key, name, callback_url))
        asked = Asked(subject, key, answer["id"], callback_url)
        if asked not in self.asked:
            self.asked.append(asked)
        return asked

    def ask_all(self, subjects: Sequence[str], name: str = "web") -> list[Asked]:
        """Ask in one batch that all these people be forgotten, until the answer is 201."""
        keys = [self._new_key() for _ in subjects]
        lines = [{"subject": subject, "idempotency_key": key} for subject, key in zip(subjects, keys, strict=True)]
        results = _answered(lambda: self._post(":batch", {"requests": lines}, name, {}))["results"]
        answered = zip(subjects, keys, results, strict=True)
        asked = [Asked(subject, key, result["id"]) for subject, key, result in answered]
        self.asked += asked
        return asked

    def ask_some(self, n: int) -> list[Asked]:
        """Ask that so many people be forgotten, one after the other."""
        return [self.ask(self.someone()) for _ in range(n)]

    # --- what the machine room sees ---

    @property
    def broker(self) -> redis.Redis:
        """A connection to the broker."""
        return redis.Redis.from_url(redis_url(self.valkey.url), socket_timeout=5)

    @property
    def doorbell(self) -> Doorbell:
        """The broker's doorbell."""
        return Doorbell(self.valkey.url)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Run one statement; its rows."""
        with unit_of_work(self.database) as session:
            result = session.execute(text(statement), values)
            return list(result) if isinstance(result, CursorResult) and result.returns_rows else []

    def states_of(self, asked: Sequence[Asked]) -> list[str]:
        """The state of each request, by the ledger."""
        ids = [each.request_id for each in asked]
        found = self.sql("SELECT id, state FROM deletion_requests WHERE id = ANY(CAST(:ids AS uuid[]))", ids=ids)
        states = {str(row.id): str(row.state) for row in found}
        return [states[request_id] for request_id in ids]

    def await_completed(self, asked: Sequence[Asked], within_s: float = PATIENCE_S) -> None:
        """Wait until all of these are completed. A certificate that died with its worker waits no two minutes here."""

        def are_completed() -> bool:
            self.sql(
                "UPDATE runs SET lease_expires_at = now() WHERE state = 'published' AND certificate IS NULL "
                "AND uncertified IS NULL AND lease_expires_at > now() + interval '30 s' "
                "AND ended_at < now() - interval '5 s'"
            )
            return set(self.states_of(asked)) <= {"completed"}

        wait_until(are_completed, within_s=within_s, every_s=max(LOOK_EVERY_S, len(asked) * LOOK_S))

    def restart_postgres(self, number: signal.Signals = signal.SIGINT, away_s: float = 0.0) -> None:
        """End PostgreSQL with a signal, and start it again on its folder after a while."""
        pid = int((self.folder / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, number)
        wait_until(lambda: not is_alive(pid), within_s=PATIENCE_S)
        self.postgres.__exit__(None, None, None)
        pause(away_s)
        self.postgres = EmbeddedPostgres(self.folder / "postgres", SERVER)
        self.postgres.__enter__()

    @contextmanager
    def broker_away(self) -> Iterator[None]:
        """Have no broker while the block runs; what it held is gone."""
        self.valkey.__exit__(None, None, None)
        try:
            yield
        finally:
            self.valkey = EmbeddedValkey(self.folder / "valkey")
            self.valkey.__enter__()

    @property
    def environment(self) -> dict[str, str]:
        """What every process is told."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ALTERASER_")}
        told = {
            "database_url": self.postgres.url,
            "broker_url": self.valkey.url,
            "snapshot_dir": self.snapshots,
            "secrets_dir": self.secrets,
            "replica_timeout_s": REPLICA_TIMEOUT_S,
            "callback_private": "true",
            "service_port": 0,
            "service_poll_s": POLL_S,
            "worker_lease_s": LEASE_S,
            "worker_sweep_s": SWEEP_S,
            "worker_threads": 1,
            "worker_callback_timeout_s": CALLBACK_TIMEOUT_S,
        }
        settings = {f"ALTERASER_{name.upper()}": str(value) for name, value in told.items()}
        return {**kept, **settings, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

    def _everything(self) -> InteractionLog:
        """The interactions everybody has before anyone is forgotten."""
        n_each = N_EACH if self.n_people <= N_PEOPLE else N_EACH_OF_CROWD
        made = synthetic(self.n_people, N_ITEMS, self.n_people * n_each, seed=7)
        users = np.array([self._user(int(user)) for user in made.users], dtype=np.object_)
        return InteractionLog(users=users, items=made.items, times=made.times)

    def _user(self, number: int) -> str:
        """An id that occurs nowhere by accident: files, logs and the broker are searched for its bytes."""
        return f"person-{self._token}-{number:04d}"

    def people_in(self, content: bytes) -> set[str]:
        """Who is named in some bytes."""
        return {found.decode() for found in re.findall(rf"person-{self._token}-\d+".encode(), content)}

    def _post(self, path: str, body: dict[str, Any], name: str, headers: dict[str, str]) -> httpx.Response | None:
        url = f"{self.url(name)}/v1/deletion-requests{path}"
        try:
            return httpx.post(url, json=body, headers={**self._headers(), **headers}, timeout=TIMED_OUT)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None

    def _new_key(self) -> str:
        return f"key-{self._random.bytes(8).hex()}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def _mount(self) -> None:
        """Keep the snapshots on a small disk of their own, where this account may mount one."""
        if os.geteuid() != 0:
            return
        options = f"size={DISK_BYTES},mode=0700"
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.snapshots], capture_output=True)
        if mounted.returncode == 0:
            self.is_small_disk = True
            self._held.callback(lambda: subprocess.run(["umount", "-l", self.snapshots], capture_output=True))

    def _fill(self) -> str:
        """Make tables, data, a published model and an API key, which is returned."""
        migrations.upgrade(self.postgres.url)
        with unit_of_work(self.database) as session:
            interactions.import_log(session, self.log, Pseudonyms.load(self.secrets))
            key = api_keys.create(session, TENANT, "faults", api_keys.SCOPES)
            for statement in TRIPWIRES:
                session.execute(text(statement))
        settings = WorkerSettings(
            database_url=self.postgres.url,
            broker_url=self.valkey.url,
            secrets_dir=self.secrets,
            snapshot_dir=self.snapshots,
        )
        workbench = open_workbench(settings)
        train_once(workbench, MODEL, given={"d": 8, "saturate": 0})
        workbench.close()
        return key


@contextmanager
def site(seed: int, n_people: int = N_PEOPLE) -> Iterator[Site]:
    """A deployment of its own with so many people, in its usual state, while the block runs."""
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="alteraser-")))
        made = Site(folder, held, seed, n_people)
        made.as_usual()
        yield made


def _answered(post: Callable[[], httpx.Response | None]) -> dict[str, Any]:
    """Post until the answer is 201; what it says."""
    found: list[dict[str, Any]] = []

    def is_answered() -> bool:
        answer = post()
        if answer is not None and answer.status_code == httpx.codes.CREATED:
            found.append(answer.json())
        return bool(found)

    wait_until(is_answered, within_s=PATIENCE_S)
    return found[0]


def events(log: Path) -> Iterator[dict[str, Any]]:
    """The JSON lines of a log."""
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            with suppress(json.JSONDecodeError):
                yield json.loads(line)


def pause(seconds: float) -> None:
    """Let so much time pass."""
    import time

    time.sleep(seconds)
