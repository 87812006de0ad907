"""The interactions table: filled by import, read by training, emptied by deletion."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv
from sqlalchemy import ColumnElement, delete, func, select, text, tuple_, union_all
from sqlalchemy.orm import Session

from alteraser.deletions import Deletions
from alteraser.interaction_log import InteractionLog
from alteraser.interactions import Interactions
from ledger.among import among
from ledger.arrays import unnested
from ledger.deletions import open_deletions
from ledger.pseudonym import Pseudonyms
from ledger.tables import Erasure, Interaction, Refusal

ROWS_PER_CHUNK = 50_000
NEVER = np.iinfo(np.int64).min

MERGE = """
    INSERT INTO interactions
    SELECT DISTINCT ON (user_id, item_id) * FROM staged
    WHERE NOT EXISTS (
        SELECT FROM interactions AS known
        WHERE known.user_id = staged.user_id AND known.item_id = staged.item_id
    )
    ORDER BY user_id, item_id, staged.ctid
"""
"""Sorted, because the primary key grows twice as fast from one end; `ctid` is the order of the log."""

Advance = Callable[[int, int], None]
"""Called with the rows sent so far and the rows there are."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        rows: Interactions that are new.
        duplicates: Rows whose (user, item) was there before, in the table or earlier in the log.
        refused: Rows of erased users or items that are not known to be younger than the erasure.
    """

    rows: int
    duplicates: int
    refused: int


def quietly(done: int, total: int) -> None:
    """Tell nobody."""


def import_log(session: Session, log: InteractionLog, pseudonyms: Pseudonyms, progress: Advance = quietly) -> Imported:
    """Add the log's interactions, by COPY; of rows with one (user, item) the first is kept.

    Deletion waits meanwhile: a publish that ran beside an import could not delete rows it cannot see yet.
    """
    session.execute(text("LOCK TABLE interactions IN SHARE ROW EXCLUSIVE MODE"))
    session.execute(text("SET LOCAL work_mem = '256MB'"))
    admitted = _admitted(session, log, pseudonyms)
    session.execute(text("CREATE TEMPORARY TABLE staged (LIKE interactions INCLUDING DEFAULTS) ON COMMIT DROP"))
    _copy_in(_driver(session), log, np.flatnonzero(admitted), progress)
    inserted: int = session.execute(text(MERGE)).rowcount  # type: ignore[attr-defined]
    session.execute(text("DROP TABLE staged"))
    n_admitted = int(admitted.sum())
    return Imported(inserted, n_admitted - inserted, len(log) - n_admitted)


def read(session: Session) -> Interactions:
    """The interactions a model may be trained on: everything but what is asked to be deleted.

    The deletions are read first: whatever is recorded or published between the two reads is then either
    left out or deleted later, never kept.
    """
    deletions = open_deletions(session)
    content = io.BytesIO()
    wanted = "COPY (SELECT user_id, item_id FROM interactions ORDER BY user_id, item_id) TO STDOUT (FORMAT csv)"
    with _driver(session).cursor() as cursor, cursor.copy(wanted) as copy:
        for block in copy:
            content.write(block)
    users, items = _columns(content.getvalue())
    return Interactions.from_pairs(users, items).without(deletions)


def held(session: Session, deletions: Deletions) -> Deletions:
    """Those of the subjects, items and pairs of which at least one interaction is stored."""
    users, items = ({"user_id": _storable(deletions.subjects)}, {"item_id": _storable(deletions.items)})
    return Deletions(
        frozenset(user for (user,) in _stored(session, users)),
        frozenset(item for (item,) in _stored(session, items)),
        frozenset((user, item) for user, item in _stored(session, _columns_of(deletions.pairs))),
    )


def delete_rows(session: Session, deletions: Deletions) -> int:
    """Delete every stored interaction the deletions name; returns how many there were.

    One transaction deletes at a time: two that delete the same rows, one by user and one by item, would else wait
    for each other.
    """
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("alteraser.interactions.delete"))))
    deleted = [session.execute(delete(Interaction).where(names)) for names in _named(deletions)]
    return sum(result.rowcount for result in deleted)  # type: ignore[attr-defined]


def count(session: Session, user: str) -> int:
    """How many interactions of the user are stored."""
    return _count(session, Interaction.user_id == user)


def count_item(session: Session, item: str) -> int:
    """How many interactions with the item are stored."""
    return _count(session, Interaction.item_id == item)


def _count(session: Session, condition: ColumnElement[bool]) -> int:
    return session.execute(select(func.count()).select_from(Interaction).where(condition)).scalar_one()


def _named(deletions: Deletions) -> Iterator[ColumnElement[bool]]:
    """One condition for each way of naming rows that the deletions use."""
    subjects, items = _storable(deletions.subjects), _storable(deletions.items)
    pairs = _columns_of(deletions.pairs)
    if subjects:
        yield among(Interaction.user_id, subjects)
    if items:
        yield among(Interaction.item_id, items)
    if pairs["user_id"]:
        named = unnested(Interaction, pairs)
        yield tuple_(Interaction.user_id, Interaction.item_id).in_(select(named.c.user_id, named.c.item_id))


def _stored(session: Session, columns: Mapping[str, Sequence[str]]) -> Iterator[Sequence[str]]:
    """The rows of these columns that some stored interaction has."""
    named = unnested(Interaction, columns)
    is_stored = select(Interaction).where(*(getattr(Interaction, name) == named.c[name] for name in columns)).exists()
    yield from (tuple(row) for row in session.execute(select(*(named.c[name] for name in columns)).where(is_stored)))


def _columns_of(pairs: Iterable[tuple[str, str]]) -> dict[str, Sequence[str]]:
    """The users and the items of the pairs that PostgreSQL can hold."""
    storable = [pair for pair in pairs if len(_storable(pair)) == len(pair)]
    return {"user_id": [user for user, _ in storable], "item_id": [item for _, item in storable]}


def _storable(ids: frozenset[str] | tuple[str, ...]) -> list[str]:
    """The ids PostgreSQL can hold; nothing is stored under one with a NUL character in it."""
    return [id for id in ids if "\0" not in id]


def _admitted(session: Session, log: InteractionLog, pseudonyms: Pseudonyms) -> NDArray[np.bool_]:
    """Which rows are of no erased user or item, or are younger than the erasure, shape (len(log),)."""
    erased = _erased_at(session)
    if not erased:
        return np.ones(len(log), dtype=np.bool_)
    users = {user: erased.get(("user", pseudonyms.user(user)), NEVER) for user in dict.fromkeys(log.users)}
    items = {item: erased.get(("item", pseudonyms.item(item)), NEVER) for item in dict.fromkeys(log.items)}
    of_user = np.fromiter((users[user] for user in log.users), np.int64, len(log))
    of_item = np.fromiter((items[item] for item in log.items), np.int64, len(log))
    erased_at = np.maximum(of_user, of_item)
    return erased_at == NEVER if log.times is None else log.times > erased_at


def _erased_at(session: Session) -> dict[tuple[str, str], int]:
    """Unix second of the last erasure of every erased user and item, rounded up, by (scope, pseudonym)."""
    refused = select(Refusal.scope, Refusal.subject_hmac, Refusal.erased_at)
    of_requests = select(Erasure.scope, Erasure.subject_hmac, Erasure.erased_at).where(Erasure.erased_at.is_not(None))
    each = union_all(of_requests, refused).subquery()
    second = func.ceil(func.extract("epoch", func.max(each.c.erased_at)))
    erased = select(each.c.scope, each.c.subject_hmac, second).group_by(each.c.scope, each.c.subject_hmac)
    return {(scope, pseudonym): int(at) for scope, pseudonym, at in session.execute(erased)}


def _copy_in(
    driver: psycopg.Connection[Any], log: InteractionLog, admitted: NDArray[np.int64], progress: Advance
) -> None:
    """Send the admitted rows to the staging table."""
    with driver.cursor() as cursor, cursor.copy("COPY staged FROM STDIN (FORMAT csv)") as copy:
        for start in range(0, len(admitted), ROWS_PER_CHUNK):
            rows = admitted[start : start + ROWS_PER_CHUNK]
            copy.write(_csv(log, rows))
            progress(start + len(rows), len(admitted))


def _csv(log: InteractionLog, rows: NDArray[np.int64]) -> bytes:
    unknown = pa.nulls(len(rows))
    table = pa.table(
        {
            "user_id": pa.array(log.users[rows], pa.string()),
            "item_id": pa.array(log.items[rows], pa.string()),
            "rating": unknown if log.ratings is None else pa.array(log.ratings[rows]),
            "event_at": unknown if log.times is None else pa.array(log.times[rows]),
        }
    )
    content = io.BytesIO()
    csv.write_csv(table, content, csv.WriteOptions(include_header=False))
    return content.getvalue()


def _columns(content: bytes) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """The user and the item of each line, shape (n_lines,) each."""
    names = ["user_id", "item_id"]
    if not content:
        return np.empty(0, np.object_), np.empty(0, np.object_)
    table = csv.read_csv(
        io.BytesIO(content),
        csv.ReadOptions(column_names=names),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )
    return table["user_id"].to_numpy(), table["item_id"].to_numpy()


def _driver(session: Session) -> psycopg.Connection[Any]:
    """The driver's own connection, which speaks COPY, inside the session's transaction."""
    driver = session.connection().connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError(f"COPY needs psycopg, not {type(driver).__name__}")
    return driver
