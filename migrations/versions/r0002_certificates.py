"""Certificates: what is proven of a published child, and why where nothing is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

AWAITED = "state = 'published' AND certificate IS NULL AND uncertified IS NULL"
EARLIER = "it was published before certificates were made"


def upgrade() -> None:
    op.add_column("runs", sa.Column("certificate", JSONB))
    op.add_column("runs", sa.Column("uncertified", sa.Text))
    op.add_column("runs", sa.Column("certifications", sa.BigInteger, server_default=sa.text("0"), nullable=False))
    op.create_index("ix_runs_awaiting_certificate", "runs", ["ended_at"], postgresql_where=sa.text(AWAITED))
    give_no_certificate_to_what_is_not_served_any_more()


def downgrade() -> None:
    op.drop_index("ix_runs_awaiting_certificate", "runs")
    for column in ("certifications", "uncertified", "certificate"):
        op.drop_column("runs", column)


def give_no_certificate_to_what_is_not_served_any_more() -> None:
    runs = sa.table("runs", sa.column("id"), sa.column("state"), sa.column("uncertified"))
    snapshots = sa.table("snapshots", sa.column("run_id"), sa.column("superseded_at"))
    served = sa.select(snapshots.c.run_id).where(snapshots.c.superseded_at.is_(None))
    op.execute(runs.update().where(runs.c.state == "published", runs.c.id.not_in(served)).values(uncertified=EARLIER))
