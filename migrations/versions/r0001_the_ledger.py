"""The ledger: requests, runs, models, snapshots, replicas, interactions, receipts, keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")
NEW_ID = sa.text("gen_random_uuid()")
ZERO = sa.text("0")

TABLES = (
    "snapshots",
    "request_models",
    "runs",
    "receipts",
    "erasures",
    "replicas",
    "models",
    "interactions",
    "deletion_requests",
    "clock",
    "api_keys",
)


def upgrade() -> None:
    create_clock()
    create_api_keys()
    create_models()
    create_interactions()
    create_deletion_requests()
    create_erasures()
    create_receipts()
    create_runs()
    create_request_models()
    create_snapshots()
    create_replicas()


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)


def create_clock() -> None:
    clock = op.create_table(
        "clock",
        sa.Column("id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_clock_single"),
        sa.PrimaryKeyConstraint("id", name="pk_clock"),
    )
    op.bulk_insert(clock, [{"id": 1, "value": 0}])


def create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        moment("created_at", server_default=NOW, nullable=False),
        moment("revoked_at"),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )


def create_models() -> None:
    op.create_table(
        "models",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("current", sa.Text),
        sa.Column("version", sa.BigInteger, server_default=ZERO, nullable=False),
        sa.Column("watermark", sa.BigInteger, server_default=ZERO, nullable=False),
        sa.Column("hyperparameters", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        moment("created_at", server_default=NOW, nullable=False),
        moment("updated_at", server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_models"),
    )


def create_interactions() -> None:
    op.create_table(
        "interactions",
        sa.Column("user_id", sa.Text(collation="C"), nullable=False),
        sa.Column("item_id", sa.Text(collation="C"), nullable=False),
        sa.Column("rating", sa.Double),
        sa.Column("event_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("user_id", "item_id", name="pk_interactions"),
    )
    op.create_index("ix_interactions_item_id", "interactions", ["item_id"])


def create_deletion_requests() -> None:
    op.create_table(
        "deletion_requests",
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("key_digest", sa.Text),
        sa.Column("payload_digest", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("payload", JSONB),
        sa.Column("subject_hmac", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        moment("recorded_at", server_default=NOW, nullable=False),
        moment("suppressed_at"),
        moment("unlearned_at"),
        moment("completed_at"),
        moment("cancelled_at"),
        moment("due_at", nullable=False),
        sa.Column("attempts", sa.BigInteger, server_default=ZERO, nullable=False),
        moment("next_attempt_at"),
        sa.Column("failure", sa.Text),
        one_of("deletion_requests", "kind", "subject", "interactions", "item"),
        one_of(
            "deletion_requests",
            "state",
            "pending",
            "in_progress",
            "failed",
            "unlearned",
            "completed",
            "cancelled",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deletion_requests"),
        sa.UniqueConstraint("sequence", name="uq_deletion_requests_sequence"),
        sa.UniqueConstraint("tenant", "key_digest", name="uq_deletion_requests_tenant_key_digest"),
    )
    op.create_index("ix_deletion_requests_page", "deletion_requests", ["tenant", "sequence"])
    op.create_index("ix_deletion_requests_state", "deletion_requests", ["state"])
    op.create_index(
        "ix_deletion_requests_unsuppressed",
        "deletion_requests",
        ["sequence"],
        postgresql_where=sa.text("suppressed_at IS NULL"),
    )


def create_erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject_hmac", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        moment("erased_at"),
        one_of("erasures", "scope", "user", "item"),
        points_to("erasures", "request_id", "deletion_requests.id"),
        sa.PrimaryKeyConstraint("request_id", name="pk_erasures"),
    )
    op.create_index("ix_erasures_changed", "erasures", ["changed"])
    op.create_index("ix_erasures_subject", "erasures", ["subject_hmac"])


def create_receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("jti", sa.Uuid, nullable=False),
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("jws", sa.Text, nullable=False),
        moment("issued_at", server_default=NOW, nullable=False),
        points_to("receipts", "request_id", "deletion_requests.id"),
        sa.PrimaryKeyConstraint("request_id", name="pk_receipts"),
        sa.UniqueConstraint("jti", name="uq_receipts_jti"),
    )


def create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Uuid, server_default=NEW_ID, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        moment("lease_expires_at", nullable=False),
        moment("heartbeat_at", server_default=NOW, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("child", sa.Text),
        sa.Column("phase", sa.Text),
        sa.Column("step", sa.BigInteger),
        sa.Column("residual", sa.Double),
        moment("started_at", server_default=NOW, nullable=False),
        moment("ended_at"),
        sa.Column("failure", sa.Text),
        sa.Column("report", JSONB),
        one_of("runs", "purpose", "unlearn", "train"),
        one_of("runs", "state", "live", "published", "failed", "expired"),
        points_to("runs", "model", "models.name"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_live", "runs", ["model"], unique=True, postgresql_where=sa.text("state = 'live'"))
    op.create_index("ix_runs_started_at", "runs", ["started_at"])


def create_request_models() -> None:
    op.create_table(
        "request_models",
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("run_id", sa.Uuid),
        sa.Column("child", sa.Text),
        sa.Column("version", sa.BigInteger),
        one_of("request_models", "state", "pending", "leased", "published"),
        points_to("request_models", "request_id", "deletion_requests.id"),
        points_to("request_models", "model", "models.name"),
        points_to("request_models", "run_id", "runs.id"),
        sa.PrimaryKeyConstraint("request_id", "model", name="pk_request_models"),
    )
    op.create_index("ix_request_models_run_id", "request_models", ["run_id"])
    op.create_index(
        "ix_request_models_unpublished",
        "request_models",
        ["model", "state"],
        postgresql_where=sa.text("state <> 'published'"),
    )


def create_snapshots() -> None:
    op.create_table(
        "snapshots",
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("parent", sa.Text),
        sa.Column("watermark", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.Uuid, nullable=False),
        sa.Column("n_users", sa.BigInteger, nullable=False),
        sa.Column("n_items", sa.BigInteger, nullable=False),
        sa.Column("n_interactions", sa.BigInteger, nullable=False),
        sa.Column("residual", sa.Double, nullable=False),
        moment("published_at", server_default=NOW, nullable=False),
        moment("superseded_at"),
        moment("destroyed_at"),
        points_to("snapshots", "model", "models.name"),
        points_to("snapshots", "run_id", "runs.id"),
        sa.PrimaryKeyConstraint("model", "version", name="pk_snapshots"),
    )
    op.create_index("ix_snapshots_digest", "snapshots", ["digest"])
    op.create_index(
        "ix_snapshots_current",
        "snapshots",
        ["model"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )


def create_replicas() -> None:
    op.create_table(
        "replicas",
        sa.Column("replica_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text),
        sa.Column("watermark", sa.BigInteger, server_default=ZERO, nullable=False),
        sa.Column("suppressed_through", sa.BigInteger, server_default=ZERO, nullable=False),
        moment("heartbeat_at", server_default=NOW, nullable=False),
        moment("started_at", server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("replica_id", "model", name="pk_replicas"),
    )


def moment(name: str, *, server_default: sa.TextClause | None = None, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=server_default, nullable=nullable)


def one_of(table: str, column: str, *values: str) -> sa.CheckConstraint:
    words = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({words})", name=op.f(f"ck_{table}_{column}"))


def points_to(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=f"fk_{table}_{column}")
