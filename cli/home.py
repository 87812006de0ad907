"""The home folder: where one embedded deployment keeps its database, snapshots, secrets and logs.

HOME/
    postgres/  valkey/  snapshots/  logs/  downloads/
    secrets/        subject.key, receipt keys, and api.key: the key that `up` prints
    up.lock         held while a supervisor runs here; says which process
    up.json         addresses of the running deployment
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.errors import HomeInUse, HomeNotWritable
from cli.secret_files import make_secrets


@dataclass(frozen=True, slots=True)
class Home:
    """The places inside one home folder."""

    folder: Path

    @property
    def postgres(self) -> Path:
        """The database cluster."""
        return self.folder / "postgres"

    @property
    def valkey(self) -> Path:
        """The broker's folder."""
        return self.folder / "valkey"

    @property
    def snapshots(self) -> Path:
        """The snapshot generations."""
        return self.folder / "snapshots"

    @property
    def secrets(self) -> Path:
        """Keys; readable by their owner only."""
        return self.folder / "secrets"

    @property
    def logs(self) -> Path:
        """One log file per supervised process."""
        return self.folder / "logs"

    @property
    def downloads(self) -> Path:
        """Public datasets fetched from their official home."""
        return self.folder / "downloads"

    @property
    def lock(self) -> Path:
        """Held while a supervisor runs here."""
        return self.folder / "up.lock"

    @property
    def addresses(self) -> Path:
        """Where a running deployment is announced."""
        return self.folder / "up.json"

    @property
    def api_key(self) -> Path:
        """The API key that `up` prints."""
        return self.secrets / "api.key"


def prepare(folder: Path) -> Home:
    """Make the home folder and its first secrets where they are missing.

    Raises:
        HomeNotWritable: The folder cannot be created or written.
    """
    home = Home(folder.resolve())
    try:
        home.folder.mkdir(parents=True, exist_ok=True)
        for part in (home.snapshots, home.logs):
            part.mkdir(exist_ok=True)
        home.lock.touch()
        make_secrets(home.secrets)
    except OSError as error:
        raise HomeNotWritable(folder, error.strerror or str(error)) from error
    return home


@contextmanager
def claimed(home: Home) -> Iterator[None]:
    """Hold the home for one supervisor while the block runs.

    Raises:
        HomeInUse: Another supervisor holds it.
    """
    with home.lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeInUse(home.folder, file.read()) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def is_claimed(home: Home) -> bool:
    """Whether a supervisor runs in the home."""
    if not home.lock.is_file():
        return False
    with home.lock.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
