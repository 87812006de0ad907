"""What every step of a run needs at hand: settings, ledger, doorbell, and the worker's own name."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

import torch

from ledger.database import Database, connect
from ledger.doorbell import Doorbell
from workers.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Workbench:
    """One worker's connections; made once per process.

    Attributes:
        owner: Name of this worker in the ledger, never used by another, not even by its successor.
    """

    settings: WorkerSettings
    database: Database
    doorbell: Doorbell
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
    """Connect to what the settings name."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    return Workbench(settings, connect(settings.database_url), Doorbell(settings.broker_url), owner)
