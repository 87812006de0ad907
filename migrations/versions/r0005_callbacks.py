"""Callbacks: where callers want to be told, and an outbox that a trigger fills with every change of state."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")

TELL = """
    CREATE FUNCTION tell_of_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO callbacks (request_id, url, state)
            SELECT request_id, url, NEW.state FROM callback_urls WHERE request_id = NEW.id;
        IF NEW.state IN ('completed', 'cancelled') THEN
            DELETE FROM callback_urls WHERE request_id = NEW.id;
        END IF;
        RETURN NULL;
    END $$
"""
ON_CHANGE = """
    CREATE TRIGGER tell_of_change AFTER UPDATE OF state ON deletion_requests
    FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION tell_of_change()
"""
PURPOSE = "purpose IN ('unlearn', 'train', 'rollback')"
EARLIER_PURPOSE = "purpose IN ('unlearn', 'train')"


def upgrade() -> None:
    create_callbacks()
    op.execute(TELL)
    op.execute(ON_CHANGE)
    op.drop_constraint(op.f("ck_runs_purpose"), "runs")
    op.create_check_constraint(op.f("ck_runs_purpose"), "runs", PURPOSE)


def downgrade() -> None:
    op.drop_constraint(op.f("ck_runs_purpose"), "runs")
    op.execute("UPDATE runs SET purpose = 'train' WHERE purpose = 'rollback'")
    op.create_check_constraint(op.f("ck_runs_purpose"), "runs", EARLIER_PURPOSE)
    op.execute("DROP TRIGGER tell_of_change ON deletion_requests")
    op.execute("DROP FUNCTION tell_of_change")
    op.drop_table("callbacks")
    op.drop_table("callback_urls")


def create_callbacks() -> None:
    op.create_table(
        "callback_urls",
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], ["deletion_requests.id"], name="fk_callback_urls_request_id"),
        sa.PrimaryKeyConstraint("request_id", "url", name="pk_callback_urls"),
    )
    op.create_table(
        "callbacks",
        sa.Column("number", sa.BigInteger, sa.Identity(always=True), nullable=False),
        sa.Column("id", sa.Uuid, server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("attempts", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), server_default=NOW),
        sa.Column("delivered_at", sa.DateTime(timezone=True)),
        sa.Column("dead_at", sa.DateTime(timezone=True)),
        sa.Column("failure", sa.Text),
        sa.ForeignKeyConstraint(["request_id"], ["deletion_requests.id"], name="fk_callbacks_request_id"),
        sa.PrimaryKeyConstraint("number", name="pk_callbacks"),
    )
    op.create_index("ix_callbacks_request_id", "callbacks", ["request_id"])
    op.create_index(
        "ix_callbacks_due", "callbacks", ["next_attempt_at"], postgresql_where=sa.text("next_attempt_at IS NOT NULL")
    )
