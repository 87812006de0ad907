"""A ledger with people in it, and the moves that workers and replicas make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from ledger import certificates, clock, completion, interactions, recording, replicas, requests, runs
from ledger.certificates import Uncertified
from ledger.database import Database, unit_of_work
from ledger.pseudonym import Pseudonyms
from ledger.receipts import SigningKey
from ledger.recording import NewRequest
from ledger.requests import RequestView
from ledger.runs import Lease, PublishedSnapshot
from ledger.tables import Snapshot

TENANT = "shop"
REPLICA_TIMEOUT_S = 10.0
PEOPLE = ("anna", "bert", "carla", "dora")
FILMS = ("alien", "brazil", "casablanca")
CERTIFICATE = {"sigma": 1.0, "gap": 1e-9, "influence_bound": 1e-4}


@dataclass(frozen=True)
class Scene:
    """Every move is one transaction, as in production."""

    database: Database
    pseudonyms: Pseudonyms
    signer: SigningKey

    def stock(self, pairs: Iterable[tuple[str, str]]) -> None:
        with unit_of_work(self.database) as session:
            rows = [{"user": user, "item": item} for user, item in pairs]
            session.execute(text("INSERT INTO interactions (user_id, item_id) VALUES (:user, :item)"), rows)

    def record(self, user: str | None = None, **more: Any) -> UUID:
        more.setdefault("kind", "subject")
        with unit_of_work(self.database) as session:
            new = NewRequest(tenant=TENANT, user=user, **more)
            return recording.record(session, new, self.pseudonyms).request_id

    def see(self, request_id: UUID) -> RequestView:
        with unit_of_work(self.database) as session:
            return requests.get(session, TENANT, request_id)

    def cancel(self, request_id: UUID) -> None:
        with unit_of_work(self.database) as session:
            requests.cancel(session, TENANT, request_id)

    def train(self, model: str = "main") -> str:
        """Declare the model and publish a snapshot of everything; returns its digest."""
        with unit_of_work(self.database) as session:
            runs.declare(session, model, "wmf")
        with unit_of_work(self.database) as session:
            lease = runs.lease(session, model, "trainer", 30, purpose="train")
        assert lease is not None
        return self.publish(lease)

    def lease(self, model: str = "main", owner: str = "worker", lease_s: float = 30) -> Lease | None:
        with unit_of_work(self.database) as session:
            return runs.lease(session, model, owner, lease_s)

    def take(self, model: str = "main", owner: str = "worker", lease_s: float = 30) -> Lease:
        lease = self.lease(model, owner, lease_s)
        assert lease is not None
        return lease

    def publish(self, lease: Lease, watermark: int | None = None, *, certified: bool = True) -> str:
        """Publish a child with a digest of its own, and certify it; returns the digest."""
        child = snapshot(lease.watermark if watermark is None else watermark)
        with unit_of_work(self.database) as session:
            runs.publish(session, lease, child, {"residual": child.residual, "moved": 2.0, "gates": {"finite": True}})
        if certified:
            self.certify(lease.owner, lease.run_id)
        return child.digest

    def take_certificate(self, owner: str = "worker", run_id: UUID | None = None) -> Uncertified | None:
        with unit_of_work(self.database) as session:
            return certificates.take(session, owner, 30, run_id)

    def certify(self, owner: str = "worker", run_id: UUID | None = None) -> None:
        """Certify the next child that awaits it, or the one of the run."""
        taken = self.take_certificate(owner, run_id)
        assert taken is not None
        with unit_of_work(self.database) as session:
            certificates.record(session, taken, CERTIFICATE)

    def fall_silent(self) -> None:
        """Let the lease of everyone who makes a certificate have run out."""
        self.sql("UPDATE runs SET lease_expires_at = now() WHERE state = 'published'")

    def fail(self, lease: Lease, reason: str = "it did not converge") -> None:
        with unit_of_work(self.database) as session:
            runs.fail(session, lease, reason)

    def let_expire(self, lease: Lease) -> None:
        """Let the lease have run out a second ago."""
        self.sql("UPDATE runs SET lease_expires_at = now() - interval '1 s' WHERE id = :id", id=lease.run_id)

    def rest(self) -> None:
        """Let every pause after a failure be over."""
        self.sql("UPDATE deletion_requests SET next_attempt_at = now() WHERE next_attempt_at IS NOT NULL")

    def acknowledge(self, digest: str | None, model: str = "main", replica: str = "r1") -> None:
        """Let a replica say that it serves the digest and obeys every erasure there is."""
        with unit_of_work(self.database) as session:
            through = clock.reading(session)
            said = select(Snapshot.watermark).where(Snapshot.digest == digest, Snapshot.model == model)
            watermark = session.scalar(said) or 0
            replicas.acknowledge(session, replica, model, digest, watermark, through, REPLICA_TIMEOUT_S)

    def silence(self, replica: str) -> None:
        """Let the replica's last heartbeat be too long ago."""
        self.sql("UPDATE replicas SET heartbeat_at = now() - interval '11 s' WHERE replica_id = :id", id=replica)

    def completable(self) -> list[UUID]:
        with unit_of_work(self.database) as session:
            return list(completion.completable(session, REPLICA_TIMEOUT_S))

    def to_destroy(self, grace_s: float = 3600.0) -> list[tuple[str, str]]:
        with unit_of_work(self.database) as session:
            return list(completion.to_destroy(session, REPLICA_TIMEOUT_S, grace_s))

    def destroy(self) -> None:
        for model, digest in self.to_destroy():
            with unit_of_work(self.database) as session:
                completion.mark_destroyed(session, model, digest)

    def complete(self, request_id: UUID) -> str | None:
        """Complete the request; why not, where it is not done yet."""
        with unit_of_work(self.database) as session:
            done = completion.complete(session, [request_id], self.signer, REPLICA_TIMEOUT_S)
        return done.deferred.get(request_id)

    def count(self, user: str) -> int:
        with unit_of_work(self.database) as session:
            return interactions.count(session, user)

    def suppressed(self, after: int = 0) -> set[str]:
        """The pseudonyms that a replica would suppress after reading every change."""
        with unit_of_work(self.database) as session:
            return {change.subject_hmac for change in replicas.erasure_changes(session, after) if change.active}

    def sql(self, statement: str, **values: Any) -> None:
        with unit_of_work(self.database) as session:
            session.execute(text(statement), values)

    def ask(self, question: str, **values: Any) -> Any:
        with unit_of_work(self.database) as session:
            return session.scalar(text(question), values)


def snapshot(watermark: int) -> PublishedSnapshot:
    return PublishedSnapshot(
        digest=uuid4().hex,
        watermark=watermark,
        n_users=4,
        n_items=3,
        n_interactions=12,
        residual=1e-6,
        hyperparameters={"d": 8},
    )


@pytest.fixture
def scene(database: Database, secrets_dir: Path) -> Scene:
    """Four people who saw three films each, and no model yet."""
    scene = Scene(database, Pseudonyms.load(secrets_dir), SigningKey.load(secrets_dir))
    scene.stock((user, item) for user in PEOPLE for item in FILMS)
    return scene
