"""A trained model on real data stores, and what a caller and a replica would do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from alteraser.synthetic import synthetic
from ledger import interactions, recording, replicas
from ledger.database import unit_of_work
from ledger.deletions import Kind
from ledger.pseudonym import Pseudonyms
from ledger.recording import NewRequest
from workers.settings import WorkerSettings
from workers.training import train_once
from workers.workbench import Workbench, open_workbench

MODEL = "main"
SMALL = {"d": 4}

Ask = Callable[..., UUID]


@pytest.fixture
def settings(database_url: str, broker_url: str, secrets_dir: Path, tmp_path: Path) -> WorkerSettings:
    return WorkerSettings(
        database_url=database_url,
        broker_url=broker_url,
        secrets_dir=secrets_dir,
        snapshot_dir=tmp_path / "snapshots",
        worker_lease_s=600,
    )


@pytest.fixture
def workbench(settings: WorkerSettings) -> Iterator[Workbench]:
    """A worker's connections to a migrated ledger of a few hundred interactions, and no model yet."""
    opened = open_workbench(settings)
    with unit_of_work(opened.database) as session:
        interactions.import_log(session, synthetic(60, 40, 700, seed=1), Pseudonyms.load(settings.secrets_dir))
    yield opened
    opened.close()


@pytest.fixture
def trained(workbench: Workbench) -> Workbench:
    """The same, with the model `main` trained and published."""
    train_once(workbench, MODEL, given=SMALL)
    return workbench


@pytest.fixture
def ask(workbench: Workbench) -> Ask:
    """Record a deletion: of `user`, of `item`, or of `items` of `user`."""
    pseudonyms = Pseudonyms.load(workbench.settings.secrets_dir)

    def record(user: str | None = None, item: str | None = None, items: tuple[str, ...] = ()) -> UUID:
        kind: Kind = "item" if item else "interactions" if items else "subject"
        new = NewRequest(tenant="acme", kind=kind, user=user, item=item, items=items)
        with unit_of_work(workbench.database) as session:
            return recording.record(session, new, pseudonyms).request_id

    return record


@pytest.fixture
def swap(workbench: Workbench) -> Callable[[], None]:
    """Do what a replica does: load the current snapshot and acknowledge it, with all suppressions obeyed."""

    def acknowledge() -> None:
        with unit_of_work(workbench.database) as session:
            current = replicas.current(session, MODEL)
            replicas.acknowledge(session, "replica", MODEL, current.digest, current.watermark, 1_000_000)

    return acknowledge
