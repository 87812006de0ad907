"""The log: entries, hashes and checkpoints that nobody may change, and the salts that tie subjects to entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = ("log_entries", "log_nodes", "log_checkpoints")
TABLES = ("refusals", "subject_salts", "log_checkpoints", "log_nodes", "log_entries", "log_head")
NOW = sa.text("clock_timestamp()")

REFUSE = """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the log is append-only: % of % is refused', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END $$
"""
REFUSE_SHRINKING = """
    CREATE FUNCTION refuse_shrinking() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.id <> OLD.id OR NEW.origin <> OLD.origin OR NEW.size < OLD.size THEN
            RAISE EXCEPTION 'the log is append-only: it keeps its name and never shrinks'
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
"""


def upgrade() -> None:
    create_log()
    create_salts()
    op.execute(REFUSE)
    op.execute(REFUSE_SHRINKING)
    for table in APPEND_ONLY:
        guard(table, "UPDATE OR DELETE OR TRUNCATE", "STATEMENT", "refuse_change")
    guard("log_head", "DELETE OR TRUNCATE", "STATEMENT", "refuse_change")
    guard("log_head", "UPDATE", "ROW", "refuse_shrinking")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP FUNCTION refuse_change")
    op.execute("DROP FUNCTION refuse_shrinking")


def create_log() -> None:
    op.create_table(
        "log_head",
        sa.Column("id", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_log_head_single"),
        sa.PrimaryKeyConstraint("id", name="pk_log_head"),
    )
    op.execute("INSERT INTO log_head (id, origin, size) VALUES (1, 'alteraser/' || gen_random_uuid(), 0)")
    op.create_table(
        "log_entries",
        sa.Column("index", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("index", name="pk_log_entries"),
    )
    op.create_table(
        "log_nodes",
        sa.Column("level", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("place", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("level", "place", name="pk_log_nodes"),
    )
    op.create_table(
        "log_checkpoints",
        sa.Column("size", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_log_checkpoints"),
    )


def create_salts() -> None:
    op.create_table(
        "subject_salts",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject_hmac", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("scope IN ('user', 'item')", name=op.f("ck_subject_salts_scope")),
        sa.PrimaryKeyConstraint("scope", "subject_hmac", name="pk_subject_salts"),
    )
    op.create_table(
        "refusals",
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("subject_hmac", sa.Text, nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("scope IN ('user', 'item')", name=op.f("ck_refusals_scope")),
        sa.PrimaryKeyConstraint("scope", "subject_hmac", name="pk_refusals"),
    )


def guard(table: str, changes: str, each: str, function: str) -> None:
    """Run the function before such a change, in every session: one that replays a replica's changes too."""
    name = f"{function}_of_{table}"
    op.execute(f"CREATE TRIGGER {name} BEFORE {changes} ON {table} FOR EACH {each} EXECUTE FUNCTION {function}()")
    op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
