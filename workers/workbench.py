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
from ledger.receipts import Signer, SigningKey
from workers.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Workbench:
    """One worker's connections; made once per process.

    Attributes:
        settings: What the worker was told.
        database: The ledger's.
        doorbell: How it rings other workers and hints to replicas.
        signer: Signs receipts.
        owner: Name of this worker in the ledger, never used by another, not even by its successor.
    """

    settings: WorkerSettings
    database: Database
    doorbell: Doorbell
    signer: Signer
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
        SecretMissing, SecretMalformed: There is no key to sign receipts with.
    """
    return Workbench(
        settings=settings,
        database=connect(settings.database_url),
        doorbell=Doorbell(settings.broker_url),
        signer=SigningKey.load(settings.secrets_dir),
        owner=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
    )
