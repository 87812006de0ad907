"""Which deployment a command works on: the one running in a home folder, or the one the environment names."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from cli.errors import NothingRunning
from cli.home import Home, is_claimed
from ledger.database import connect, unit_of_work


@dataclass(frozen=True, slots=True)
class Deployment:
    """The addresses every process of one deployment shares."""

    database_url: str
    broker_url: str
    snapshot_dir: str
    secrets_dir: str
    journal_dir: str | None = None

    @property
    def journal_folder(self) -> Path:
        """Where the erasure journal is: beside the snapshots where nothing else is said."""
        return Path(self.journal_dir) if self.journal_dir else Path(self.snapshot_dir).parent / "journal"

    def environment(self) -> dict[str, str]:
        """These addresses as the settings read them."""
        return {f"ALTERASER_{name.upper()}": value for name, value in asdict(self).items() if value is not None}


@contextmanager
def transaction(deployment: Deployment) -> Iterator[Session]:
    """One transaction on the deployment's ledger, over a connection of its own."""
    with closing(connect(deployment.database_url)) as database, unit_of_work(database) as session:
        yield session


@contextmanager
def announced(home: Home, deployment: Deployment) -> Iterator[None]:
    """Let other commands find the deployment in its home while the block runs."""
    home.addresses.write_text(json.dumps(asdict(deployment), indent=2) + "\n", encoding="utf-8")
    try:
        yield
    finally:
        home.addresses.unlink(missing_ok=True)


def found(folder: Path) -> Deployment:
    """The deployment of ALTERASER_DATABASE_URL where that is set, else the one running in the folder.

    Raises:
        NothingRunning: Neither is there.
    """
    if "ALTERASER_DATABASE_URL" in os.environ:
        return _from_settings()
    home = Home(folder.resolve())
    if not (is_claimed(home) and home.addresses.is_file()):
        raise NothingRunning(folder)
    return Deployment(**json.loads(home.addresses.read_text(encoding="utf-8")))


def _from_settings() -> Deployment:
    from ledger.settings import SharedSettings

    settings = SharedSettings()
    return Deployment(
        database_url=settings.database_url,
        broker_url=settings.broker_url,
        snapshot_dir=str(settings.snapshot_dir),
        secrets_dir=str(settings.secrets_dir),
        journal_dir=str(settings.journal_folder),
    )
