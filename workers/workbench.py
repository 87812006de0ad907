"""What every step of a run needs at hand: settings, ledger, doorbell, key, and the worker's own name."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

import torch

from ledger.database import Database, connect
from ledger.doorbell import Doorbell
from ledger.journal import Journal
from ledger.pseudonym import Pseudonyms
from ledger.receipts import Signer, SigningKey
from ledger.restores import RestoreGuard
from workers.liveness import Liveness
from workers.settings import WorkerSettings
from workers.shutdown import Shutdown


@dataclass(frozen=True, slots=True)
class Workbench:
    """One worker's connections; made once per process.

    Attributes:
        settings: What the worker was told.
        database: The ledger's.
        doorbell: How it rings other workers and hints to replicas.
        signer: Signs receipts.
        journal: What must stay erased, outside the database.
        guard: Notices when the ledger was restored from before an erasure.
        shutdown: Whether this worker was told to stop.
        liveness: Where it shows that it gets on.
        owner: Name of this worker in the ledger, never used by another, not even by its successor.
    """

    settings: WorkerSettings
    database: Database
    doorbell: Doorbell
    signer: Signer
    journal: Journal
    guard: RestoreGuard
    shutdown: Shutdown
    liveness: Liveness
    owner: str

    @property
    def snapshots(self) -> Path:
        """The folder of snapshots."""
        return self.settings.snapshot_dir

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        return torch.device(self.settings.worker_device)

    def close(self) -> None:
        """Close every connection."""
        self.doorbell.close()
        self.database.close()


def open_workbench(settings: WorkerSettings) -> Workbench:
    """Prepare the connections that the settings name; nothing is sent yet.

    Raises:
        SecretMissing, SecretMalformed: There is no key to sign receipts with, or none for pseudonyms.
    """
    database = connect(settings.database_url, idle_s=settings.worker_lease_s)
    pseudonyms = Pseudonyms.load(settings.secrets_dir)
    journal = Journal(settings.journal_folder, pseudonyms)
    return Workbench(
        settings=settings,
        database=database,
        doorbell=Doorbell(settings.broker_url),
        signer=SigningKey.load(settings.secrets_dir),
        journal=journal,
        guard=RestoreGuard(database, journal, pseudonyms),
        shutdown=Shutdown(settings.worker_stop_s),
        liveness=Liveness(settings.worker_liveness_file),
        owner=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
    )
