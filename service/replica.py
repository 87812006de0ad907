"""This process as a replica: it serves what the ledger points to, and knows whom not to know."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from time import monotonic
from uuid import uuid4

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from alteraser import crash
from alteraser.errors import AlteraserError
from alteraser.snapshot import read
from ledger import overview, replicas, tracing
from ledger.database import Database, unit_of_work
from ledger.doorbell import COMPLETE
from ledger.errors import LedgerError, StaleReplica
from ledger.pseudonym import Pseudonyms
from ledger.replicas import Pointer
from service.errors import NothingPublished, SnapshotRefused, WatermarkTooLow
from service.recommender import Live, Query, Recommended
from service.ringer import Ringer
from service.settings import ServiceSettings
from service.suppressions import Suppressions

log = structlog.get_logger(__name__)

RETRY_REFUSED_S = 5.0
HEARTBEATS_PER_TIMEOUT = 5


@dataclass(frozen=True, slots=True)
class _News:
    """What one look at the ledger showed.

    Attributes:
        through: Clock value up to which every change of a suppression is known.
        pointers: What to serve, by model; at least as new as `through`.
    """

    through: int
    pointers: Mapping[str, Pointer]


@dataclass(frozen=True, slots=True)
class _Said:
    """What was last acknowledged for one model, and when."""

    snapshot: str | None
    watermark: int
    through: int
    at: float

    def adds_nothing_to(self, before: _Said, replica_timeout_s: float) -> bool:
        """Whether it says the same as what was said before, a moment ago."""
        is_recent = self.at - before.at < replica_timeout_s / HEARTBEATS_PER_TIMEOUT
        return is_recent and replace(before, at=self.at) == self


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A snapshot that could not be served, and when to try it again."""

    snapshot: str
    retry_at: float
    reason: str


class Replica:
    """Follows the ledger, and answers from memory.

    A look at the ledger reads whom to suppress and which snapshot to serve. A new snapshot is loaded
    aside, verified, and swapped in as one reference; one that is damaged, or satisfies fewer erasures, is
    refused and the old one stays. A replica that lost touch with the ledger for `replica_timeout_s` knows
    nobody: deletions no longer wait for it.

    Attributes:
        id: Names this process among the replicas.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        database: Database,
        ringer: Ringer,
        pseudonyms: Pseudonyms,
        floor: Callable[[str], int],
    ) -> None:
        self.id = str(uuid4())
        self._settings = settings
        self._database = database
        self._ringer = ringer
        self._pseudonyms = pseudonyms
        self._floor = floor
        self._suppressions = Suppressions()
        self._exchanging = Lock()
        self._lives: Mapping[str, Live] = {}
        self._pointers: Mapping[str, Pointer] = {}
        self._said: dict[str, _Said] = {}
        self._refused: dict[str, _Refusal] = {}
        self._contact_at = -math.inf

    def leave(self) -> None:
        """Sign off, so that no deletion waits for this replica.

        Raises:
            SQLAlchemyError: The ledger cannot be reached; it will notice the silence.
        """
        with self._exchanging, unit_of_work(self._database) as session:
            replicas.leave(session, self.id)
            self._said = {}

    def follow(self) -> None:
        """Look at the ledger once: suppress, swap, acknowledge.

        Refused as one that deletions were completed without, it serves nothing until it has loaded what is current.

        Raises:
            SQLAlchemyError: The ledger cannot be read.
        """
        try:
            news = self._exchange()
        except StaleReplica as refused:
            log.error("replica_outlived", model=refused.model, watermark=refused.watermark, required=refused.required)
            self._lives, self._said = {}, {}
            news = self._exchange()
        swapped = [self._advance(model, pointer) for model, pointer in news.pointers.items()]
        if any(swapped):
            crash.point("acknowledge.before")
            self._exchange()
            crash.point("acknowledge.committed")
            self._ringer.ring(COMPLETE)
        if all(self._serves(model, pointer) for model, pointer in news.pointers.items()):
            with self._exchanging:
                self._suppressions.settle(news.through)

    def follow_erasures_now(self) -> None:
        """Suppress whom the ledger now suppresses; where it cannot be read, the follower goes on trying."""
        try:
            self._exchange()
        except (SQLAlchemyError, LedgerError) as error:
            log.error("suppression_delayed", error=type(error).__name__)

    def serving(self, model: str | None = None) -> Live:
        """The generation that is served of a model; of the first one declared where none is named.

        Raises:
            NothingPublished: There is none yet.
        """
        names = self._pointers if model is None else [model]
        lives = self._lives
        live = next((lives[name] for name in names if name in lives), None)
        if live is None:
            raise NothingPublished
        return live

    def recommend(self, live: Live, user: str, query: Query) -> list[Recommended]:
        """What to show a user. Whoever is erased, suppressed or was never seen gets what is popular."""
        row = live.users.row(user)
        is_suppressed = self._pseudonyms.user(user) in self._suppressions.users
        known = None if is_suppressed or not self.in_touch else row
        return live.recommend(known, query, self._is_hidden, len(self._suppressions.items))

    @property
    def in_touch(self) -> bool:
        """Whether the ledger was read recently enough that deletions still wait for this replica."""
        return self.silent_s < self._settings.replica_timeout_s

    @property
    def silent_s(self) -> float:
        """Seconds since the ledger was last read; infinite before the first time."""
        return monotonic() - self._contact_at

    @property
    def lives(self) -> Mapping[str, Live]:
        """What is served, by model."""
        return self._lives

    @property
    def pointers(self) -> Mapping[str, Pointer]:
        """What the ledger last said should be served, by model."""
        return self._pointers

    @property
    def is_loaded(self) -> bool:
        """Whether there is something to serve, and every model's published snapshot could be loaded."""
        published = {model for model, pointer in self._pointers.items() if pointer.digest is not None}
        return bool(published) and published <= self._lives.keys() and not self._refused

    @property
    def refusals(self) -> list[str]:
        """Why published snapshots are not served, one sentence each; no identity in it."""
        return [f"model {model!r}: {refusal.reason}" for model, refusal in self._refused.items()]

    @property
    def satisfies_watermark(self) -> bool:
        """Whether everything served satisfies every erasure its model's pointer does, and every one journaled."""
        pointers = self._pointers
        return all(
            live.watermark >= max(pointers[model].watermark, self._floor(model)) for model, live in self._lives.items()
        )

    def _exchange(self) -> _News:
        """Read whom to suppress and what to serve, and acknowledge what is obeyed and served."""
        with self._exchanging:
            asked_at = monotonic()
            with unit_of_work(self._database) as session:
                self._suppressions.learn(replicas.erasure_changes(session, self._suppressions.through))
                news = _News(self._suppressions.through, self._read_pointers(session))
                said = {model: self._acknowledged(session, model, news.through) for model in news.pointers}
            # the ledger counts from the last acknowledgement, so this replica must not count from later
            contact_at = min((each.at for each in said.values()), default=asked_at)
            self._said, self._pointers, self._contact_at = said, news.pointers, contact_at
        return news

    def _read_pointers(self, session: Session) -> dict[str, Pointer]:
        chosen = self._settings.service_model
        return {
            served.model.name: Pointer(served.model.current, served.model.version, served.model.watermark)
            for served in overview.models(session)
            if chosen is None or served.model.name == chosen
        }

    def _acknowledged(self, session: Session, model: str, through: int) -> _Said:
        """Say what is served and obeyed, where that is news or long unsaid; returns what was said last."""
        live = self._lives.get(model)
        before = self._said.get(model)
        now = _Said(live.digest if live else None, live.watermark if live else 0, through, monotonic())
        if before is not None and now.adds_nothing_to(before, self._settings.replica_timeout_s):
            return before
        replicas.acknowledge(
            session, self.id, model, now.snapshot, now.watermark, through, self._settings.replica_timeout_s
        )
        return now

    def _advance(self, model: str, pointer: Pointer) -> bool:
        """Serve what the pointer names; False where it is served already, or refused."""
        if pointer.digest is None or self._is_refused(model, pointer.digest):
            return False
        self._refused.pop(model, None)
        if self._serves(model, pointer):
            return False
        calls = self._calls_satisfied(model, pointer)
        try:
            with tracing.stage("swap", calls, model=model, version=pointer.version, replica=self.id):
                self._swap(model, pointer, pointer.digest)
        except (AlteraserError, SnapshotRefused, OSError) as error:
            reason = type(error).__name__ if isinstance(error, OSError) else str(error)
            self._refused[model] = _Refusal(pointer.digest, monotonic() + RETRY_REFUSED_S, reason)
            log.error("snapshot_refused", model=model, snapshot=pointer.digest, reason=str(error))
            return False
        return True

    def _swap(self, model: str, pointer: Pointer, digest: str) -> None:
        """Load the snapshot aside, verified, and serve it from now on."""
        live = self._load(model, pointer, digest)
        crash.point("swap.loaded")
        self._lives = {**self._lives, model: live}
        swapped_in = {"version": live.version, "snapshot": live.digest, "watermark": live.watermark}
        log.info("snapshot_swapped", model=model, **swapped_in)

    def _calls_satisfied(self, model: str, pointer: Pointer) -> tracing.Calls:
        """The calls that asked for what is forgotten between what is served and what the pointer names."""
        live = self._lives.get(model)
        if live is None or not tracing.is_on():
            return ()
        with unit_of_work(self._database) as session:
            return tracing.calls_satisfied(session, model, live.version, pointer.version)

    def _load(self, model: str, pointer: Pointer, digest: str) -> Live:
        snapshot = read(self._settings.snapshot_dir, digest)
        serving = self._lives.get(model)
        required = max(pointer.watermark, serving.watermark if serving else 0, self._floor(model))
        if snapshot.watermark < required:
            raise WatermarkTooLow(model, snapshot.watermark, required)
        return Live.of(model, pointer.version, digest, snapshot)

    def _serves(self, model: str, pointer: Pointer) -> bool:
        live = self._lives.get(model)
        return pointer.digest is None or (live is not None and live.digest == pointer.digest)

    def _is_refused(self, model: str, digest: str) -> bool:
        """Whether this snapshot was refused a moment ago."""
        refusal = self._refused.get(model)
        return refusal is not None and refusal.snapshot == digest and monotonic() < refusal.retry_at

    def _is_hidden(self, item: str) -> bool:
        return self._pseudonyms.item(item) in self._suppressions.items
