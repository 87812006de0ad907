"""Every order of moves that a ledger, workers and replicas can make, on the real ledger and real folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar
from uuid import UUID

import numpy as np
import pytest
import redis
import torch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from alteraser import snapshot
from alteraser.interaction_log import InteractionLog
from alteraser.interactions import Interactions
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot
from ledger import (
    certificates,
    clock,
    completion,
    interactions,
    receipts,
    recording,
    replicas,
    requests,
    rollbacks,
    runs,
    sweep,
)
from ledger.database import Database, unit_of_work
from ledger.doorbell import UNLEARN, Doorbell, redis_url
from ledger.errors import (
    KeyReused,
    LeaseLost,
    NotCancellable,
    NothingToReturnTo,
    StaleReplica,
    UnknownSubject,
    WatermarkFell,
)
from ledger.pseudonym import Pseudonyms
from ledger.receipts import SigningKey
from ledger.recording import NewRequest
from ledger.runs import Lease, PublishedSnapshot, Purpose
from ledger.tables import LogEntry, Receipt
from tests.faults.ledger_rows import (
    empty,
    forget_pauses,
    let_certifiers_fall_silent,
    let_lease_expire,
    live_runs,
    pointer,
    rows_of,
    silence,
    states,
    unreachable,
)

MODEL, TENANT = "main", "shop"
TIMEOUT_S, LEASE_S, GRACE_S = 10.0, 30.0, 3600.0
N_PEOPLE, ITEMS = 14, ("alien", "brazil", "casablanca")
STAYERS = ("stays-1", "stays-2")
LONG_AGO = 1_000_000
REPLICAS = st.sampled_from(("r1", "r2", "r3"))
OPEN = ("pending", "in_progress", "failed")


@dataclass
class Asked:
    """A recorded request, as the machine knows it."""

    subject: str
    key: str
    state: str


@dataclass(frozen=True)
class Served:
    """What a replica last said it serves."""

    digest: str
    watermark: int


class Machine(RuleBasedStateMachine):
    """One model, one worker at a time and its zombies, three replicas; beside the ledger, what should be in it."""

    database: ClassVar[Database]
    secrets_dir: ClassVar[Path]
    broker_url: ClassVar[str]
    n_machines: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).n_machines += 1
        self.people = [f"subject-{self.n_machines:03d}-{number:02d}" for number in range(N_PEOPLE)]
        self.root = Path(mkdtemp(prefix="alteraser-machine-"))
        self.pseudonyms = Pseudonyms.load(self.secrets_dir)
        self.signer = SigningKey.load(self.secrets_dir)
        self.doorbell = Doorbell(self.broker_url)
        self.asked: dict[UUID, Asked] = {}
        self.live: Lease | None = None
        self.zombies: list[Lease] = []
        self.served: dict[str, Served] = {}
        self.silent: set[str] = set()
        self.watermark = 0

    @initialize()
    def begin(self) -> None:
        """An empty ledger gets people, a trained model and a replica."""
        empty(self.database)
        everyone = [*self.people, *STAYERS]
        log = self._log(everyone)
        with unit_of_work(self.database) as session:
            interactions.import_log(session, log, self.pseudonyms)
        with unit_of_work(self.database) as session:
            runs.declare(session, MODEL, "wmf")
        with unit_of_work(self.database) as session:
            lease = runs.lease(session, MODEL, "trainer", LEASE_S, purpose="train")
        assert lease is not None
        self._publish(lease, Interactions.from_pairs(log.users, log.items))
        self._certify()
        self.acknowledge("r1")

    # --- what callers do ---

    @rule(number=st.integers(0, N_PEOPLE - 1))
    def record(self, number: int) -> None:
        """Someone asks to be forgotten."""
        subject = self.people[number]
        key = f"key-{len(self.asked)}-{self.n_machines}"
        new = NewRequest(tenant=TENANT, kind="subject", user=subject, key=key)
        is_known = rows_of(self.database, subject) > 0
        try:
            with unit_of_work(self.database) as session:
                recorded = recording.record(session, new, self.pseudonyms)
        except UnknownSubject:
            assert not is_known
            return
        assert is_known
        assert not recorded.replayed
        self.doorbell.ring(UNLEARN)
        self.asked[recorded.request_id] = Asked(subject, key, "pending")

    @precondition(lambda self: self.asked)
    @rule(dice=st.data())
    def duplicate(self, dice: st.DataObject) -> None:
        """The same key comes again: with the same body it is the same request, with another it is refused."""
        request_id = dice.draw(st.sampled_from(sorted(self.asked)))
        asked = self.asked[request_id]
        again = NewRequest(tenant=TENANT, kind="subject", user=asked.subject, key=asked.key)
        with unit_of_work(self.database) as session:
            recorded = recording.record(session, again, self.pseudonyms)
        assert (recorded.request_id, recorded.replayed) == (request_id, True)
        other = NewRequest(tenant=TENANT, kind="subject", user=STAYERS[0], key=asked.key)
        with pytest.raises(KeyReused), unit_of_work(self.database) as session:
            recording.record(session, other, self.pseudonyms)

    @precondition(lambda self: self.asked)
    @rule(dice=st.data())
    def cancel(self, dice: st.DataObject) -> None:
        """A request is taken back, which works while no run has taken it."""
        request_id = dice.draw(st.sampled_from(sorted(self.asked)))
        if self.asked[request_id].state != "pending":
            with pytest.raises(NotCancellable), unit_of_work(self.database) as session:
                requests.cancel(session, TENANT, request_id)
            return
        with unit_of_work(self.database) as session:
            requests.cancel(session, TENANT, request_id)
        self.asked[request_id].state = "cancelled"

    @rule(number=st.integers(0, N_PEOPLE - 1))
    def late_interaction(self, number: int) -> None:
        """A system that lags behind sends somebody's old interactions again."""
        subject = self.people[number]
        before = rows_of(self.database, subject)
        with unit_of_work(self.database) as session:
            interactions.import_log(session, self._log([subject]), self.pseudonyms)
        if before == 0:
            assert rows_of(self.database, subject) == 0

    # --- what workers do ---

    @rule()
    def lease(self) -> None:
        """A worker asks for work."""
        forget_pauses(self.database)
        due = {request_id for request_id, asked in self.asked.items() if asked.state in OPEN}
        with unit_of_work(self.database) as session:
            lease = runs.lease(session, MODEL, "worker", LEASE_S)
        if self.live is not None or not due:
            assert lease is None
            return
        assert lease is not None
        assert lease.request_ids
        assert set(lease.request_ids) <= due
        self._move(lease.request_ids, "in_progress")
        self.live = lease

    @precondition(lambda self: self.live is not None)
    @rule()
    def heartbeat(self) -> None:
        """The worker is alive; a zombie is told that it is none any more."""
        assert self.live is not None
        with unit_of_work(self.database) as session:
            runs.heartbeat(session, self.live, LEASE_S, "newton", 1, 0.5)
        for zombie in self.zombies:
            with pytest.raises(LeaseLost), unit_of_work(self.database) as session:
                runs.heartbeat(session, zombie, LEASE_S, "newton", 1, 0.5)

    @precondition(lambda self: self.live is not None)
    @rule()
    def expire(self) -> None:
        """The worker falls silent for longer than its lease."""
        assert self.live is not None
        let_lease_expire(self.database, self.live.run_id)
        with unit_of_work(self.database) as session:
            assert sweep.expire_leases(session) == [self.live.run_id]
        self._move(self.live.request_ids, "pending")
        self.zombies.append(self.live)
        self.live = None

    @precondition(lambda self: self.live is not None)
    @rule(suspect=st.booleans())
    def fail(self, suspect: bool) -> None:
        """The run fails, on account of what was asked or of its surroundings."""
        assert self.live is not None
        with unit_of_work(self.database) as session:
            runs.fail(session, self.live, "nothing passed the gates", suspect=suspect)
        self._move(self.live.request_ids, "failed")
        self.live = None

    @precondition(lambda self: self.live is not None)
    @rule()
    def publish(self) -> None:
        """The worker publishes a child without the data."""
        assert self.live is not None
        self._publish_child(self.live)
        self._move(self.live.request_ids, "unlearned")
        self.live = None

    @precondition(lambda self: self.zombies)
    @rule(dice=st.data())
    def zombie_publish(self, dice: st.DataObject) -> None:
        """A worker that lost its lease wakes up and tries; what it wrote is swept."""
        zombie = dice.draw(st.sampled_from(self.zombies))
        with pytest.raises(LeaseLost):
            self._publish_child(zombie)

    @precondition(lambda self: self.live is None)
    @rule()
    def retrain(self) -> None:
        """Somebody trains the model anew: on everything that nobody asked to be forgotten."""
        forget_pauses(self.database)
        lease = self._leased("train")
        self._publish_child(lease)
        self._move(lease.request_ids, "unlearned")

    @precondition(lambda self: self.live is None)
    @rule()
    def return_to_an_earlier_generation(self) -> None:
        """Somebody rolls back as far as can be: to nothing that anybody asked to be forgotten is in."""
        with unit_of_work(self.database) as session:
            kept = rollbacks.returnable(session, MODEL)
        if not kept:
            with pytest.raises(NothingToReturnTo), unit_of_work(self.database) as session:
                rollbacks.chosen(session, MODEL, None)
            return
        data = snapshot.read(self.root, kept[-1].digest).interactions
        asked = {each.subject for each in self.asked.values() if each.state != "cancelled"}
        assert not [subject for subject in asked if subject in data.users]
        self._publish(self._leased("rollback"), data)

    @precondition(lambda self: self.live is not None and self.watermark > 0)
    @rule()
    def publish_a_lower_watermark(self) -> None:
        """Somebody tries to publish a generation that satisfies fewer erasures than the current one."""
        assert self.live is not None
        assert self.live.parent is not None
        kept = snapshot.read(self.root, self.live.parent).interactions
        with pytest.raises(WatermarkFell):
            self._publish(self.live, kept, watermark=self.watermark - 1)

    # --- what replicas do ---

    @rule(replica=REPLICAS)
    def acknowledge(self, replica: str) -> None:
        """A replica looks at the ledger, loads what is current and says so."""
        current = pointer(self.database)
        assert current.digest is not None
        assert snapshot.read(self.root, current.digest).watermark >= current.watermark
        self._acknowledge(replica, Served(current.digest, current.watermark))

    @precondition(lambda self: self.served)
    @rule(dice=st.data())
    def lag(self, dice: st.DataObject) -> None:
        """A replica says again what it said before; not if it was declared dead and the world went on."""
        replica = dice.draw(st.sampled_from(sorted(self.served)))
        before = self.served[replica]
        if replica in self.silent and before.watermark < self.watermark:
            with pytest.raises(StaleReplica):
                self._acknowledge(replica, before)
            return
        self._acknowledge(replica, before)

    @rule(replica=REPLICAS)
    def replica_dies(self, replica: str) -> None:
        """A replica falls silent for longer than its timeout."""
        silence(self.database, replica)
        self.silent.add(replica)

    # --- what the sweep does ---

    @rule()
    def complete(self) -> None:
        """Certify what is published, destroy what may go, issue every receipt that is due."""
        self._certify()
        self._complete()

    # --- what must hold after every move ---

    @invariant()
    def at_most_one_run_is_live(self) -> None:
        assert live_runs(self.database) == (0 if self.live is None else 1)

    @invariant()
    def the_watermark_never_falls(self) -> None:
        watermark = pointer(self.database).watermark
        assert watermark >= self.watermark
        self.watermark = watermark

    @invariant()
    def every_request_is_in_its_state_and_none_is_without_a_way_on(self) -> None:
        assert states(self.database) == {request_id: asked.state for request_id, asked in self.asked.items()}
        assert unreachable(self.database) == []

    @invariant()
    def every_completed_request_has_one_receipt_and_no_other_has_any(self) -> None:
        completed = {request_id for request_id, asked in self.asked.items() if asked.state == "completed"}
        with unit_of_work(self.database) as session:
            issued = session.execute(select(Receipt.request_id, Receipt.jws)).all()
        assert sorted(row.request_id for row in issued) == sorted(completed)
        keys = receipts.jwks(self.secrets_dir)
        for row in issued[-1:]:
            assert receipts.verify(row.jws, keys)["request_id"] == str(row.request_id)

    @invariant()
    def nobody_completed_is_anywhere(self) -> None:
        gone = [asked.subject for asked in self.asked.values() if asked.state == "completed"]
        if gone:
            assert sum(rows_of(self.database, subject) for subject in gone) == 0
            held = b"".join(self._held())
            assert not [subject for subject in gone if subject.encode() in held]

    def teardown(self) -> None:
        """Whatever happened, everything that was recorded can still be completed."""
        try:
            self._finish()
        finally:
            self.doorbell.close()
            shutil.rmtree(self.root)

    def _finish(self) -> None:
        if self.live is not None:
            self.publish()
        for _ in range(4 * len(self.asked)):
            self.lease()
            if self.live is None:
                break
            self.publish()
        for replica in ("r1", "r2", "r3"):
            self.acknowledge(replica)
        self.complete()
        assert {asked.state for asked in self.asked.values()} <= {"completed", "cancelled"}
        if self.served:
            with unit_of_work(self.database) as session:
                assert snapshot.digests(self.root) == completion.kept(session)
        self.nobody_completed_is_anywhere()

    def _leased(self, purpose: Purpose) -> Lease:
        with unit_of_work(self.database) as session:
            lease = runs.lease(session, MODEL, "operator", LEASE_S, purpose=purpose)
        assert lease is not None
        return lease

    def _publish_child(self, lease: Lease) -> None:
        assert lease.parent is not None
        kept = snapshot.digests(self.root)
        if lease.parent in kept:
            data = snapshot.read(self.root, lease.parent).interactions
        else:
            data = Interactions.from_pairs(*map(np.array, zip(*((user, "alien") for user in STAYERS), strict=True)))
        self._publish(lease, data.without(lease.deletions))

    def _publish(self, lease: Lease, data: Interactions, watermark: int | None = None) -> None:
        """Write a generation and publish it; what could not be published is removed again, as a worker does."""
        child = _generation(data, lease, lease.watermark if watermark is None else watermark)
        digest = snapshot.write(self.root, child)
        said = PublishedSnapshot(digest, child.watermark, data.n_users, data.n_items, len(data), 1e-6, {"d": 1})
        try:
            with unit_of_work(self.database) as session:
                runs.publish(session, lease, said, {"residual": 1e-6, "moved": 1.0})
        except LeaseLost:
            with unit_of_work(self.database) as session:
                if digest not in completion.kept(session):
                    snapshot.destroy(self.root, digest)
            raise

    def _acknowledge(self, replica: str, served: Served) -> None:
        with unit_of_work(self.database) as session:
            replicas.acknowledge(
                session, replica, MODEL, served.digest, served.watermark, _reading(self.database), TIMEOUT_S
            )
        self.served[replica] = served
        self.silent.discard(replica)

    def _certify(self) -> None:
        let_certifiers_fall_silent(self.database)
        with unit_of_work(self.database) as session:
            while (taken := certificates.take(session, "worker", LEASE_S)) is not None:
                certificates.record(session, taken, {"sigma": 1.0})

    def _complete(self) -> None:
        with unit_of_work(self.database) as session:
            sweep.suppress_without_replicas(session, TIMEOUT_S)
            doomed = completion.to_destroy(session, TIMEOUT_S, GRACE_S)
        for model, digest in doomed:
            snapshot.destroy(self.root, digest)
            with unit_of_work(self.database) as session:
                completion.mark_destroyed(session, model, digest)
        with unit_of_work(self.database) as session:
            ready = completion.completable(session, TIMEOUT_S)
        with unit_of_work(self.database) as session:
            done = completion.complete(session, ready, self.signer, TIMEOUT_S)
        assert list(done.completed) == list(ready)
        self._move(ready, "completed")

    def _move(self, request_ids: Iterable[UUID], state: str) -> None:
        for request_id in request_ids:
            self.asked[request_id].state = state

    def _log(self, subjects: list[str]) -> InteractionLog:
        users = np.repeat(np.array(subjects, dtype=np.object_), len(ITEMS))
        items = np.tile(np.array(ITEMS, dtype=np.object_), len(subjects))
        return InteractionLog(users=users, items=items, times=np.full(len(users), LONG_AGO, np.int64))

    def _held(self) -> Iterator[bytes]:
        """Everything that is not the ledger's own tables of requests: the disk, the broker, the log."""
        yield from (file.read_bytes() for file in self.root.rglob("*") if file.is_file())
        with redis.Redis.from_url(redis_url(self.broker_url)) as client:
            for key in client.scan_iter():
                yield key
                yield b"".join(client.lrange(key, 0, -1)) if client.type(key) == b"list" else client.dump(key) or b""
        with unit_of_work(self.database) as session:
            newest = select(LogEntry.entry).order_by(LogEntry.index.desc()).limit(20)
            yield "".join(session.scalars(newest)).encode()


def _generation(data: Interactions, lease: Lease, watermark: int) -> Snapshot:
    """A model of width one of these interactions, with a digest of its own."""
    own = torch.full((data.n_users, 1), float(lease.run_id.int % 1_000_003), dtype=torch.float64)
    return Snapshot(
        kind="wmf",
        hyperparameters={"d": 1},
        parameters=Parameters(
            own, torch.ones((data.n_items, 1), dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
        ),
        interactions=data,
        watermark=watermark,
        parent=lease.parent,
        residual=1e-6,
    )


def _reading(database: Database) -> int:
    with unit_of_work(database) as session:
        return clock.reading(session)
