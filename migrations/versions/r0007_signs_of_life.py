"""Signs of life: which workers get on, when the sweep last ended, and to which trace a request belongs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NOW = sa.text("clock_timestamp()")


def upgrade() -> None:
    op.add_column("deletion_requests", sa.Column("traceparent", sa.Text))
    op.create_table(
        "workers",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_workers"),
    )
    op.create_table(
        "occurrences",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("count", sa.BigInteger, server_default=sa.text("1"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_occurrences"),
    )


def downgrade() -> None:
    op.drop_table("occurrences")
    op.drop_table("workers")
    op.drop_column("deletion_requests", "traceparent")
