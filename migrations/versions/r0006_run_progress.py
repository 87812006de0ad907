"""What the ops pages read: the residual curve of runs, and requests by when they were recorded and completed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CLOCKS = ("recorded_at", "completed_at")


def upgrade() -> None:
    op.create_table(
        "run_progress",
        sa.Column("run_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("elapsed_s", sa.Double, nullable=False),
        sa.Column("phase", sa.Text, nullable=False),
        sa.Column("step", sa.BigInteger, nullable=False),
        sa.Column("residual", sa.Double, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_run_progress_run_id"),
        sa.PrimaryKeyConstraint("run_id", "number", name="pk_run_progress"),
    )
    op.create_index("ix_run_progress_at", "run_progress", ["at"])
    for clock in CLOCKS:
        op.create_index(f"ix_deletion_requests_{clock}", "deletion_requests", [clock])


def downgrade() -> None:
    for clock in CLOCKS:
        op.drop_index(f"ix_deletion_requests_{clock}", "deletion_requests")
    op.drop_table("run_progress")
