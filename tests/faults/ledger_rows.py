"""What the state machine reads from the ledger's tables, and how it lets time pass in them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select, text

from ledger import replicas
from ledger.database import Database, unit_of_work
from ledger.replicas import Pointer
from ledger.tables import DeletionRequest, Interaction, Run

EMPTY = """
    TRUNCATE receipts, erasures, request_models, snapshots, runs, models, deletion_requests, replicas, interactions
    CASCADE
"""
WITHOUT_A_WAY_ON = """
    SELECT d.id FROM deletion_requests d
    WHERE d.state IN ('pending', 'in_progress', 'failed') AND NOT EXISTS (
        SELECT FROM request_models m LEFT JOIN runs r ON r.id = m.run_id
        WHERE m.request_id = d.id AND (m.state = 'pending' OR (m.state = 'leased' AND r.state = 'live'))
    )
"""


def empty(database: Database) -> None:
    """Begin anew; only the log stays, which nobody can shorten."""
    with unit_of_work(database) as session:
        session.execute(text(EMPTY))


def rows_of(database: Database, user: str) -> int:
    """How many interactions of a user are stored."""
    with unit_of_work(database) as session:
        return session.scalar(select(func.count()).select_from(Interaction).where(Interaction.user_id == user)) or 0


def states(database: Database) -> dict[UUID, str]:
    """The state of every request."""
    with unit_of_work(database) as session:
        return {row.id: row.state for row in session.execute(select(DeletionRequest.id, DeletionRequest.state))}


def unreachable(database: Database) -> list[UUID]:
    """The open requests that no run has and none will take."""
    with unit_of_work(database) as session:
        return list(session.scalars(text(WITHOUT_A_WAY_ON)))


def live_runs(database: Database) -> int:
    """How many runs are live."""
    with unit_of_work(database) as session:
        return session.scalar(select(func.count()).select_from(Run).where(Run.state == "live")) or 0


def pointer(database: Database) -> Pointer:
    """What is current."""
    with unit_of_work(database) as session:
        return replicas.current(session, "main")


def forget_pauses(database: Database) -> None:
    """Let every pause be over."""
    with unit_of_work(database) as session:
        session.execute(
            text(
                "UPDATE deletion_requests SET next_attempt_at = least(next_attempt_at, now()) "
                "WHERE next_attempt_at IS NOT NULL"
            )
        )


def let_certifiers_fall_silent(database: Database) -> None:
    """Let the lease of whoever makes a certificate have run out, so that anybody may make it."""
    with unit_of_work(database) as session:
        session.execute(text("UPDATE runs SET lease_expires_at = now() - interval '1 s' WHERE state = 'published'"))


def let_lease_expire(database: Database, run_id: UUID) -> None:
    """Let a lease have run out a second ago."""
    with unit_of_work(database) as session:
        session.execute(
            text("UPDATE runs SET lease_expires_at = now() - interval '1 s' WHERE id = :id"), {"id": run_id}
        )


def silence(database: Database, replica: str) -> None:
    """Let a replica's last heartbeat be too long ago."""
    with unit_of_work(database) as session:
        session.execute(
            text("UPDATE replicas SET heartbeat_at = now() - interval '11 s' WHERE replica_id = :id"), {"id": replica}
        )
