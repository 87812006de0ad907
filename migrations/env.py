"""What Alembic runs to reach the database; `migrations.upgrade` and its siblings come through here."""

from __future__ import annotations

import os

from alembic import context

from ledger.database import connect
from ledger.tables import Base


def run() -> None:
    """Run the wanted revisions in one transaction."""
    database = connect(context.config.attributes.get("database_url") or os.environ["ALTERASER_DATABASE_URL"])
    try:
        with database.engine.begin() as connection:
            context.configure(connection=connection, target_metadata=Base.metadata)
            context.run_migrations()
    finally:
        database.close()


run()
