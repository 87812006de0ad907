"""The tables. What a row means is said here; what may happen to it is said in the module of its noun."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Identity,
    Index,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

OPEN_STATES = ("pending", "in_progress", "failed")
UNFINISHED_STATES = (*OPEN_STATES, "unlearned")
REQUEST_STATES = (*OPEN_STATES, "unlearned", "completed", "cancelled")
RUN_PURPOSES = ("unlearn", "train", "rollback")
RUN_OUTCOMES = ("published", "failed", "expired")
REQUEST_KINDS = ("subject", "interactions", "item")


class Utc(TypeDecorator[datetime]):
    """A moment, always aware and always in UTC whatever time zone the server speaks."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn the server's zone into UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Maps the annotations used below to PostgreSQL types and names every constraint."""

    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it as declared)
        str: Text,
        int: BigInteger,
        float: Double,
        datetime: Utc,
        dict[str, Any]: JSONB(none_as_null=True),
        list[str]: ARRAY(Text),
    }
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """A constraint named after its column that admits these words only."""
    words = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({words})", name=column)


class Clock(Base):
    """One row. Taking its next value locks it until commit: the order of values is the order of commits."""

    __tablename__ = "clock"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int]


class Model(Base):
    """A named model and the pointer to the snapshot that is served."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    current: Mapped[str | None]
    version: Mapped[int] = mapped_column(server_default=text("0"))
    watermark: Mapped[int] = mapped_column(server_default=text("0"))
    hyperparameters: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Snapshot(Base):
    """One generation of a model: which folder was current from `published_at` to `superseded_at`."""

    __tablename__ = "snapshots"
    __table_args__ = (
        Index("ix_snapshots_digest", "digest"),
        Index("ix_snapshots_current", "model", unique=True, postgresql_where=text("superseded_at IS NULL")),
    )

    model: Mapped[str] = mapped_column(ForeignKey("models.name"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[str]
    parent: Mapped[str | None]
    watermark: Mapped[int]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"))
    n_users: Mapped[int]
    n_items: Mapped[int]
    n_interactions: Mapped[int]
    residual: Mapped[float]
    published_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    superseded_at: Mapped[datetime | None]
    destroyed_at: Mapped[datetime | None]


class DeletionRequest(Base):
    """Someone asked that something be forgotten.

    `subject` and `payload` are nulled when the request ends. The digests are keyed: what a caller sent
    cannot be guessed from them. `traceparent` names the trace of the call that recorded it, where one is kept.
    """

    __tablename__ = "deletion_requests"
    __table_args__ = (
        UniqueConstraint("tenant", "key_digest"),
        UniqueConstraint("sequence"),
        one_of("kind", REQUEST_KINDS),
        one_of("state", REQUEST_STATES),
        Index("ix_deletion_requests_page", "tenant", "sequence"),
        Index("ix_deletion_requests_state", "state"),
        Index("ix_deletion_requests_recorded_at", "recorded_at"),
        Index("ix_deletion_requests_completed_at", "completed_at"),
        Index("ix_deletion_requests_unsuppressed", "sequence", postgresql_where=text("suppressed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant: Mapped[str]
    key_digest: Mapped[str | None]
    payload_digest: Mapped[str]
    kind: Mapped[str]
    subject: Mapped[str | None]
    payload: Mapped[dict[str, Any] | None]
    subject_hmac: Mapped[str]
    sequence: Mapped[int]
    reason: Mapped[str | None]
    state: Mapped[str]
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    suppressed_at: Mapped[datetime | None]
    unlearned_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None]
    failure: Mapped[str | None]
    traceparent: Mapped[str | None]


class Run(Base):
    """One worker's attempt to make a model's next snapshot; its id is the fencing token.

    Once published it has a `certificate`, or says in `uncertified` why there is none; until then the lease is that of
    the worker which makes it, and `certifications` counts how often one began.
    """

    __tablename__ = "runs"
    __table_args__ = (
        one_of("purpose", RUN_PURPOSES),
        one_of("state", ("live", *RUN_OUTCOMES)),
        Index("ix_runs_live", "model", unique=True, postgresql_where=text("state = 'live'")),
        Index("ix_runs_started_at", "started_at"),
        Index(
            "ix_runs_awaiting_certificate",
            "ended_at",
            postgresql_where=text("state = 'published' AND certificate IS NULL AND uncertified IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    model: Mapped[str] = mapped_column(ForeignKey("models.name"))
    purpose: Mapped[str]
    state: Mapped[str]
    owner: Mapped[str]
    lease_expires_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    parent: Mapped[str | None]
    child: Mapped[str | None]
    phase: Mapped[str | None]
    step: Mapped[int | None]
    residual: Mapped[float | None]
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
    failure: Mapped[str | None]
    report: Mapped[dict[str, Any] | None]
    certificate: Mapped[dict[str, Any] | None]
    uncertified: Mapped[str | None]
    certifications: Mapped[int] = mapped_column(server_default=text("0"))


class RunProgress(Base):
    """A point of a run's residual curve, there to be looked at: nothing depends on it, and old ones are deleted."""

    __tablename__ = "run_progress"
    __table_args__ = (Index("ix_run_progress_at", "at"),)

    run_id: Mapped[UUID] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    elapsed_s: Mapped[float]
    phase: Mapped[str]
    step: Mapped[int]
    residual: Mapped[float]
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class RequestModel(Base):
    """What one request still asks of one model; `version` is the first generation that satisfies it.

    `share` is set where a run failed: no run takes requests of two shares.
    """

    __tablename__ = "request_models"
    __table_args__ = (
        one_of("state", ("pending", "leased", "published")),
        Index("ix_request_models_unpublished", "model", "state", postgresql_where=text("state <> 'published'")),
        Index("ix_request_models_run_id", "run_id"),
    )

    request_id: Mapped[UUID] = mapped_column(ForeignKey("deletion_requests.id"), primary_key=True)
    model: Mapped[str] = mapped_column(ForeignKey("models.name"), primary_key=True)
    state: Mapped[str]
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id"))
    child: Mapped[str | None]
    version: Mapped[int | None]
    share: Mapped[UUID | None]


class Erasure(Base):
    """Who is suppressed while `active`, and since `erased_at` whose older data is refused.

    `changed` comes from the clock at every change, so a replica that asks for what changed after the
    last value it saw misses nothing.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        one_of("scope", ("user", "item")),
        Index("ix_erasures_changed", "changed"),
        Index("ix_erasures_subject", "subject_hmac"),
    )

    request_id: Mapped[UUID] = mapped_column(ForeignKey("deletion_requests.id"), primary_key=True)
    scope: Mapped[str]
    subject_hmac: Mapped[str]
    sequence: Mapped[int]
    changed: Mapped[int]
    active: Mapped[bool]
    erased_at: Mapped[datetime | None]


class Replica(Base):
    """One serving process and what it last said of itself, per model it serves."""

    __tablename__ = "replicas"

    replica_id: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    snapshot: Mapped[str | None]
    watermark: Mapped[int] = mapped_column(server_default=text("0"))
    suppressed_through: Mapped[int] = mapped_column(server_default=text("0"))
    heartbeat_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Worker(Base):
    """One worker process and when it last took a ring. One that ends signs off; one that is killed stays."""

    __tablename__ = "workers"

    owner: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    heard_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Occurrence(Base):
    """How often something has happened that leaves no other row, and when last."""

    __tablename__ = "occurrences"

    name: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(server_default=text("1"))
    last_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class Interaction(Base):
    """A user had to do with an item. `event_at` is in seconds since 1970, or a running number, or unknown."""

    __tablename__ = "interactions"
    __table_args__ = (Index("ix_interactions_item_id", "item_id"),)

    user_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    item_id: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)
    rating: Mapped[float | None]
    event_at: Mapped[int | None]


class Receipt(Base):
    """The signed receipt of a completed request; there is never a second one."""

    __tablename__ = "receipts"
    __table_args__ = (UniqueConstraint("jti"),)

    request_id: Mapped[UUID] = mapped_column(ForeignKey("deletion_requests.id"), primary_key=True)
    jti: Mapped[UUID]
    kid: Mapped[str]
    jws: Mapped[str]
    issued_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class CallbackUrl(Base):
    """Where to tell of a request's changes of state, until it ends."""

    __tablename__ = "callback_urls"

    request_id: Mapped[UUID] = mapped_column(ForeignKey("deletion_requests.id"), primary_key=True)
    url: Mapped[str] = mapped_column(primary_key=True)


class Callback(Base):
    """A change of state that somebody wants to be told of. A trigger inserts it in the transaction of the change.

    It waits while `next_attempt_at` is set; then it is delivered, and its `url` forgotten, or dead.
    """

    __tablename__ = "callbacks"
    __table_args__ = (
        Index("ix_callbacks_request_id", "request_id"),
        Index("ix_callbacks_due", "next_attempt_at", postgresql_where=text("next_attempt_at IS NOT NULL")),
    )

    number: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    id: Mapped[UUID] = mapped_column(server_default=func.gen_random_uuid())
    request_id: Mapped[UUID] = mapped_column(ForeignKey("deletion_requests.id"))
    url: Mapped[str | None]
    state: Mapped[str]
    changed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    next_attempt_at: Mapped[datetime | None] = mapped_column(server_default=func.clock_timestamp())
    delivered_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    failure: Mapped[str | None]


class ApiKey(Base):
    """Who may call and what for. Only the hash of the key is kept."""

    __tablename__ = "api_keys"
    __table_args__ = (UniqueConstraint("hash"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=func.gen_random_uuid())
    tenant: Mapped[str]
    name: Mapped[str]
    hash: Mapped[str]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    revoked_at: Mapped[datetime | None]


class LogHead(Base):
    """One row: the log's name and length. Appending locks it until commit: entries stand in the order of commits."""

    __tablename__ = "log_head"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    origin: Mapped[str]
    size: Mapped[int]


class LogEntry(Base):
    """One state change, as the bytes that were hashed. Never changed and never deleted."""

    __tablename__ = "log_entries"

    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry: Mapped[str]


class LogNode(Base):
    """The hash of a whole subtree of the log: the leaves from ``place << level`` to before ``(place + 1) << level``."""

    __tablename__ = "log_nodes"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[bytes]


class LogCheckpoint(Base):
    """What the log was at one size, signed. Never changed and never deleted."""

    __tablename__ = "log_checkpoints"

    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    note: Mapped[str]
    signed_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class SubjectSalt(Base):
    """What ties a subject to its entries in the log; once it is destroyed, nothing does."""

    __tablename__ = "subject_salts"
    __table_args__ = (one_of("scope", ("user", "item")),)

    scope: Mapped[str] = mapped_column(primary_key=True)
    subject_hmac: Mapped[str] = mapped_column(primary_key=True)
    salt: Mapped[bytes]


class Refusal(Base):
    """A subject whose requests were forgotten with its salt: data not younger than `erased_at` is still refused."""

    __tablename__ = "refusals"
    __table_args__ = (one_of("scope", ("user", "item")),)

    scope: Mapped[str] = mapped_column(primary_key=True)
    subject_hmac: Mapped[str] = mapped_column(primary_key=True)
    erased_at: Mapped[datetime]
