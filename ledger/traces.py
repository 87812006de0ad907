"""Where an id still stands in the database: every text, array and JSON column of every table is looked through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger.tables import DeletionRequest, Interaction

COLUMNS = """
    SELECT quote_ident(table_name) AS of_table, quote_ident(column_name) AS of_column, data_type
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
      AND data_type IN ('text', 'character varying', 'ARRAY', 'jsonb')
    ORDER BY table_name, column_name
"""
MATCHES = {
    "ARRAY": "CAST(:id AS text) = ANY({column}::text[])",
    "jsonb": "jsonb_path_exists({column}, '$.** ? (@ == $id)', jsonb_build_object('id', CAST(:id AS text)))",
}
EQUAL = "{column} = :id"


@dataclass(frozen=True, slots=True)
class Trace:
    """A place where something of a subject is left, and how much of it."""

    place: str
    count: int


def in_database(session: Session, subject: str, scope: str) -> Iterator[Trace]:
    """Every column that has the id as a value, or within one: rows, not pages that await a vacuum.

    Args:
        session: The transaction.
        subject: The raw id.
        scope: ``user`` or ``item``: an item may have the id of a user and is somebody else.
    """
    if "\0" in subject:
        return  # PostgreSQL holds no such text
    of_others = "item_id" if scope == "user" else "user_id"
    columns = session.execute(text(COLUMNS)).all()
    for column in (column for column in columns if column.of_column != of_others):
        condition = MATCHES.get(column.data_type, EQUAL).format(column=column.of_column)
        counted = text(f"SELECT count(*) FROM {column.of_table} WHERE {condition}")  # noqa: S608 - quoted by PostgreSQL
        n_rows = session.execute(counted, {"id": subject}).scalar_one()
        if n_rows:
            yield Trace(f"database: {column.of_table}.{column.of_column}", n_rows)


def pseudonym_of(session: Session, request_id: UUID) -> tuple[str, str] | None:
    """The scope and the pseudonym of whom a request was about; None where there is none, or it was destroyed."""
    asked = select(DeletionRequest.kind, DeletionRequest.subject_hmac).where(DeletionRequest.id == request_id)
    found = session.execute(asked).one_or_none()
    if found is None or not found.subject_hmac:
        return None
    return ("item" if found.kind == "item" else "user"), found.subject_hmac


def ids_of(session: Session, scope: str) -> Iterator[str]:
    """Every user or item that has an interaction."""
    column = Interaction.item_id if scope == "item" else Interaction.user_id
    yield from session.scalars(select(column).distinct())
