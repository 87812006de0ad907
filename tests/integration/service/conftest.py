"""A running web process on a real ledger, with a model worth asking, and the workers that stand behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest
import structlog
from httpx import Client, Response
from sqlalchemy import text
from structlog.typing import EventDict

from alteraser.snapshot import Snapshot, read
from alteraser.synthetic import synthetic
from ledger import api_keys, interactions, replicas
from ledger.database import Database, unit_of_work
from ledger.pseudonym import Pseudonyms
from service.app import create_app
from service.parts import Parts
from service.server import Server, bound
from service.settings import ServiceSettings
from workers.completion import complete_ready
from workers.pipeline import run_once
from workers.settings import WorkerSettings
from workers.training import train_once
from workers.workbench import Workbench, open_workbench

MODEL = "main"
TENANT = "acme"
USER = "7"
OTHER_USER = "8"
STRANGER = "nobody-ever-saw-me"


@dataclass(frozen=True)
class Deployment:
    """A web process and the workers' hands, on one ledger."""

    settings: ServiceSettings
    client: Client
    parts: Parts
    workbench: Workbench

    @property
    def database(self) -> Database:
        return self.workbench.database

    def key(self, *scopes: str, tenant: str = TENANT) -> dict[str, str]:
        """The headers of a caller with these scopes; with all of them where none is named."""
        with unit_of_work(self.database) as session:
            token = api_keys.create(session, tenant, "test", scopes or api_keys.SCOPES)
        return {"Authorization": f"Bearer {token}"}

    def ask(self, body: dict[str, Any], **headers: str) -> Response:
        """Post a deletion request."""
        return self.client.post("/v1/deletion-requests", json=body, headers=self.key() | headers)

    def recommend(self, user: str, **query: Any) -> Response:
        """Ask what to show a user."""
        path = f"/v1/users/{user}/recommendations"
        return self.client.get(path, params=query, headers=self.key("recommend"))

    def items(self, user: str, **query: Any) -> list[str]:
        """The ids recommended to a user."""
        return [item["item"] for item in self.recommend(user, **query).raise_for_status().json()["items"]]

    def train(self) -> str:
        """Train and publish the model, and have the replica look; the digest."""
        digest = train_once(self.workbench, MODEL, given={"d": 4})
        self.look()
        return digest

    def unlearn(self) -> str | None:
        """Unlearn all that is pending, and have the replica look; the digest."""
        digest = run_once(self.workbench, MODEL)
        self.look()
        return digest

    def complete(self) -> int:
        """Complete what can be completed, and have the replica look."""
        completed = complete_ready(self.workbench)
        self.look()
        return completed

    def look(self) -> None:
        """Have the replica look at the ledger now."""
        self.parts.replica.follow()

    def snapshot(self) -> Snapshot:
        """The published snapshot."""
        with unit_of_work(self.database) as session:
            digest = replicas.current(session, MODEL).digest
        assert digest is not None
        return read(self.settings.snapshot_dir, digest)

    def seen(self, user: str) -> set[str]:
        """What the user has met, by the ledger."""
        with unit_of_work(self.database) as session:
            found = session.execute(text("SELECT item_id FROM interactions WHERE user_id = :u"), {"u": user})
            return {row.item_id for row in found}

    def sql(self, statement: str, **values: Any) -> Any:
        """Run one statement; its first value, where it has one."""
        with unit_of_work(self.database) as session:
            result = session.execute(text(statement), values)
            return result.scalar() if result.returns_rows else None  # type: ignore[attr-defined]


@contextmanager
def answering(server: Server) -> Iterator[str]:
    """Run the server on a free port while the block runs; its URL."""
    listening = bound("127.0.0.1", 0)
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started and thread.is_alive():
        sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()


@pytest.fixture
def settings(database_url: str, broker_url: str, secrets_dir: Path, tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(
        database_url=database_url,
        broker_url=broker_url,
        secrets_dir=secrets_dir,
        snapshot_dir=tmp_path / "snapshots",
        service_poll_s=0.1,
    )


@pytest.fixture
def workbench(settings: ServiceSettings) -> Iterator[Workbench]:
    """A worker's connections to a ledger of a few hundred interactions, and no model yet."""
    shared = settings.model_dump(include={"database_url", "broker_url", "secrets_dir", "snapshot_dir"})
    opened = open_workbench(WorkerSettings(**shared))
    pseudonyms = Pseudonyms.load(settings.secrets_dir)
    with unit_of_work(opened.database) as session:
        interactions.import_log(session, synthetic(60, 40, 700, seed=1), pseudonyms)
    yield opened
    opened.close()


@pytest.fixture
def start(workbench: Workbench) -> Iterator[Callable[[ServiceSettings], Deployment]]:
    """Starts web servers, each in a thread of its own, and stops them at the end."""
    with ExitStack() as stack:

        def started(settings: ServiceSettings) -> Deployment:
            app = create_app(settings)
            url = stack.enter_context(answering(Server(app)))
            client = stack.enter_context(Client(base_url=url, timeout=60))
            return Deployment(settings, client, app.state.parts, workbench)

        yield started


@pytest.fixture
def untrained(start: Callable[[ServiceSettings], Deployment], settings: ServiceSettings) -> Deployment:
    """A deployment with interactions and no model."""
    return start(settings)


@pytest.fixture
def deployment(untrained: Deployment) -> Deployment:
    """A deployment that serves a model."""
    untrained.train()
    return untrained


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """Every line this process logs."""
    with structlog.testing.capture_logs() as events:
        yield events
