"""Many values sent as one array for each column, however many there are: a bound value each would stop at 65,535."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, TableValuedAlias, column, func, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from ledger.tables import Base


def unnested(table: type[Base], columns: Mapping[str, Sequence[Any]]) -> TableValuedAlias:
    """Values as rows of a query, typed as the table's columns of those names are."""
    types = {name: table.__table__.c[name].type for name in columns}
    arrays = (literal(list(values), ARRAY(types[name])) for name, values in columns.items())
    return func.unnest(*arrays).table_valued(*(column(name, types[name]) for name in columns)).render_derived()


def insert_all(
    session: Session, table: type[Base], columns: Mapping[str, Sequence[Any]], **shared: ColumnElement[Any]
) -> None:
    """Insert many rows in one statement.

    Args:
        session: The transaction.
        table: Where they go.
        columns: One value per row, by the column's name.
        shared: What all of them have, as SQL.
    """
    rows = unnested(table, columns)
    values = select(*(rows.c[name] for name in columns), *shared.values())
    session.execute(insert(table).from_select([*columns, *shared], values))
