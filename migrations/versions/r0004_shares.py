"""Shares: which requests of a failed run are taken again together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("request_models", sa.Column("share", sa.Uuid))


def downgrade() -> None:
    op.drop_column("request_models", "share")
