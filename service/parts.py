"""What the web process is made of, put together once and handed to every route."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event

from fastapi import Request

from ledger.database import Database, connect
from ledger.doorbell import Doorbell
from ledger.journal import Journal
from ledger.pseudonym import Pseudonyms
from ledger.restores import RestoreGuard
from service.callers import Callers
from service.follower import Follower
from service.metrics import Metrics
from service.replica import Replica
from service.ringer import Ringer
from service.settings import ServiceSettings

STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one web process.

    Attributes:
        settings: What it was told.
        database: The ledger.
        pseudonyms: Who is who, for logs and suppressions.
        journal: What must stay erased, outside the database.
        guard: Notices when the ledger was restored from before an erasure.
        doorbell: The broker's side of it.
        ringer: Tells workers and other replicas that there is work.
        replica: The models being served.
        follower: Keeps the replica up to date.
        callers: Who may call.
        metrics: What is counted here.
        stopping: Set when the process was told to stop: it is not ready any more, and still answers.
        ending: Set when the process stops: whoever waits for an answer gets it now.
    """

    settings: ServiceSettings
    database: Database
    pseudonyms: Pseudonyms
    journal: Journal
    guard: RestoreGuard
    doorbell: Doorbell
    ringer: Ringer
    replica: Replica
    follower: Follower
    callers: Callers
    metrics: Metrics
    stopping: Event = field(default_factory=Event)
    ending: Event = field(default_factory=Event)

    @classmethod
    def of(cls, settings: ServiceSettings) -> Parts:
        """Put the parts together; nothing is started or connected yet.

        Raises:
            SecretMissing: The key that makes pseudonyms is not in the secrets folder.
        """
        database = connect(settings.database_url, idle_s=settings.replica_timeout_s)
        doorbell = Doorbell(settings.broker_url)
        pseudonyms = Pseudonyms.load(settings.secrets_dir)
        ringer = Ringer(doorbell)
        journal = Journal(settings.journal_folder, pseudonyms)
        guard = RestoreGuard(database, journal, pseudonyms)
        replica = Replica(settings, database, ringer, pseudonyms, floor=lambda model: journal.read().floors().of(model))
        return cls(
            settings=settings,
            database=database,
            pseudonyms=pseudonyms,
            journal=journal,
            guard=guard,
            doorbell=doorbell,
            ringer=ringer,
            replica=replica,
            follower=Follower(replica, guard, doorbell, settings.service_poll_s),
            callers=Callers(database, settings.service_key_memory_s),
            metrics=Metrics(),
        )

    def start(self) -> None:
        """Begin to ring and to follow the ledger."""
        self.ringer.start()
        self.follower.start()

    def stop(self) -> None:
        """End what was started."""
        self.follower.stop(STOP_WITHIN_S)
        self.ringer.stop(STOP_WITHIN_S)
        self.doorbell.close()
        self.database.close()


def parts_of(request: Request) -> Parts:
    """The parts of the process that answers this request."""
    parts: Parts = request.app.state.parts
    return parts
