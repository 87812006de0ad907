"""The connection to PostgreSQL, and the one place that commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session, sessionmaker

from ledger.log.entries import append_entered

SCHEMA_REVISION = "0007"
NOT_FOR_GOOD = {"connect_timeout": 5, "keepalives_idle": 15, "keepalives_interval": 5, "tcp_user_timeout": 30_000}
"""What libpq is told, so that nobody waits for good for a server that is gone: seconds, the last in milliseconds. What
the database's URL says goes first."""
BULK = {"synchronize_session": False}
"""Statements change rows, sessions do not follow: otherwise every UPDATE would fetch every row it touched."""


@dataclass(frozen=True, slots=True)
class Database:
    """An engine and the sessions made from it."""

    engine: Engine
    sessions: sessionmaker[Session]

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def connect(url: str, idle_s: float | None = None) -> Database:
    """Prepare a pool of connections to `url`; nothing is sent until the first session.

    Bound values are kept out of error messages: they are the identities of people.

    Args:
        url: Of the database.
        idle_s: Seconds after which PostgreSQL ends a transaction that waits for this process, and gives its locks
            to others. A process that is stopped would else hold everybody up for good. None: never.
    """
    idle = {} if idle_s is None else {"options": f"-c idle_in_transaction_session_timeout={ceil(idle_s * 1000)}"}
    address = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_engine(
        address,
        connect_args=NOT_FOR_GOOD | dict(address.query) | idle,
        hide_parameters=True,
        pool_pre_ping=True,
    )
    return Database(engine, sessionmaker(engine, expire_on_commit=False, execution_options=BULK))


@contextmanager
def unit_of_work(database: Database) -> Iterator[Session]:
    """One transaction: committed at the end with its entries in the log, rolled back when anything raises."""
    with database.sessions.begin() as session:
        yield session
        append_entered(session)


def schema_is_current(database: Database) -> bool:
    """Whether the tables are those of this release, or of a later one; False on a database never migrated.

    A migration takes nothing away that the release before it uses, so that during an upgrade both can work.
    """
    try:
        with unit_of_work(database) as session:
            revision: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
            return revision is not None and revision >= SCHEMA_REVISION
    except ProgrammingError:
        return False
