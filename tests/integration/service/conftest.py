"""A running web process on a real ledger, with a model worth asking, and the workers that stand behind it."""

from __future__ import annotations

import shutil
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
from psycopg import sql
from sqlalchemy import text
from structlog.typing import EventDict

from alteraser.snapshot import Snapshot, read
from alteraser.synthetic import synthetic
from cli.embedded import EmbeddedPostgres, EmbeddedValkey
from ledger import api_keys, interactions, replicas
from ledger.database import Database, unit_of_work
from ledger.pseudonym import Pseudonyms
from ledger.receipts import SigningKey
from service.app import create_app
from service.listening import bound
from service.parts import Parts
from service.server import Server
from service.settings import ServiceSettings
from tests.conftest import TEMPLATE, execute, fresh_database
from workers.certificates import certify_published
from workers.completion import complete_ready
from workers.pipeline import run_once
from workers.settings import WorkerSettings
from workers.training import train_once
from workers.workbench import Workbench, open_workbench

MODEL = "main"
SMALL = {"d": 4}
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
        digest = train_once(self.workbench, MODEL, given=SMALL)
        self.look()
        return digest

    def unlearn(self) -> str | None:
        """Unlearn all that is pending, and have the replica look; the digest."""
        digest = run_once(self.workbench, MODEL)
        self.look()
        return digest

    def complete(self) -> int:
        """Certify what is published, complete what can be completed, and have the replica look."""
        certify_published(self.workbench)
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


@dataclass(frozen=True)
class World:
    """A database to copy, and the folder of secrets and snapshots that belongs to it."""

    template: str
    folder: Path


def settings_of(database_url: str, broker_url: str, folder: Path) -> ServiceSettings:
    return ServiceSettings(
        database_url=database_url,
        broker_url=broker_url,
        secrets_dir=folder / "secrets",
        snapshot_dir=folder / "snapshots",
        service_poll_s=0.1,
    )


@contextmanager
def hands(settings: ServiceSettings) -> Iterator[Workbench]:
    """A worker's connections to the same ledger, while the block runs."""
    shared = settings.model_dump(include={"database_url", "broker_url", "secrets_dir", "snapshot_dir"})
    workbench = open_workbench(WorkerSettings(**shared))
    try:
        yield workbench
    finally:
        workbench.close()


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


@contextmanager
def deployed(settings: ServiceSettings) -> Iterator[Deployment]:
    """A deployment on what the settings name, while the block runs."""
    app = create_app(settings)
    with (
        hands(settings) as workbench,
        answering(Server(app)) as url,
        Client(base_url=url, timeout=60) as client,
    ):
        yield Deployment(settings, client, app.state.parts, workbench)


@contextmanager
def copied(world: World, server: EmbeddedPostgres, broker_url: str, folder: Path) -> Iterator[ServiceSettings]:
    """The settings of a copy of the world, which lasts while the block runs."""
    shutil.copytree(world.folder, folder)
    with contextmanager(fresh_database)(server, world.template) as database_url:
        yield settings_of(database_url, broker_url, folder)


@pytest.fixture(scope="session")
def stocked(postgres: EmbeddedPostgres, valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A few hundred interactions and no model."""
    folder = tmp_path_factory.mktemp("stocked")
    pseudonyms = Pseudonyms.create(folder / "secrets")
    SigningKey.create(folder / "secrets")
    execute(postgres, sql.SQL("CREATE DATABASE stocked TEMPLATE {}").format(sql.Identifier(TEMPLATE)))
    with (
        hands(settings_of(postgres.url_of("stocked"), valkey.url, folder)) as workbench,
        unit_of_work(workbench.database) as session,
    ):
        interactions.import_log(session, synthetic(60, 40, 700, seed=1), pseudonyms)
    return World("stocked", folder)


@pytest.fixture(scope="session")
def trained(
    postgres: EmbeddedPostgres,
    valkey: EmbeddedValkey,
    stocked: World,
    tmp_path_factory: pytest.TempPathFactory,
) -> World:
    """The same interactions, and a model trained on them."""
    folder = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(stocked.folder, folder)
    execute(postgres, sql.SQL("CREATE DATABASE trained TEMPLATE stocked").format())
    with hands(settings_of(postgres.url_of("trained"), valkey.url, folder)) as workbench:
        train_once(workbench, MODEL, given=SMALL)
    return World("trained", folder)


@pytest.fixture
def settings(stocked: World, postgres: EmbeddedPostgres, broker_url: str, tmp_path: Path) -> Iterator[ServiceSettings]:
    """The settings of a deployment with interactions and no model."""
    with copied(stocked, postgres, broker_url, tmp_path / "home") as settings:
        yield settings


@pytest.fixture
def start(settings: ServiceSettings) -> Iterator[Callable[[ServiceSettings], Deployment]]:
    """Starts deployments, and stops them at the end, before their database goes."""
    del settings
    with ExitStack() as stack:
        yield lambda settings: stack.enter_context(deployed(settings))


@pytest.fixture
def untrained(settings: ServiceSettings) -> Iterator[Deployment]:
    """A deployment with interactions and no model."""
    with deployed(settings) as deployment:
        yield deployment


@pytest.fixture
def deployment(trained: World, postgres: EmbeddedPostgres, broker_url: str, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment that serves a model."""
    with copied(trained, postgres, broker_url, tmp_path / "trained") as settings, deployed(settings) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def shared(
    stocked: World,
    postgres: EmbeddedPostgres,
    valkey: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """A deployment without a model for all tests of a module, none of which minds what the others asked."""
    folder = tmp_path_factory.mktemp("shared") / "home"
    with copied(stocked, postgres, valkey.url, folder) as settings, deployed(settings) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def serving(
    trained: World,
    postgres: EmbeddedPostgres,
    valkey: EmbeddedValkey,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """A deployment that serves a model to all tests of a module, none of which changes anything."""
    folder = tmp_path_factory.mktemp("serving") / "home"
    with copied(trained, postgres, valkey.url, folder) as settings, deployed(settings) as deployment:
        yield deployment


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[EventDict]]:
    """Every line this process logs."""
    with structlog.testing.capture_logs() as events:
        yield events
