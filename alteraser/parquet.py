"""Parquet files with named columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute
from pyarrow import parquet as arrow_parquet

from alteraser.arrow_columns import id_is_sound, ids, ids_are_sound
from alteraser.columns import Columns
from alteraser.errors import EmptyFile, MalformedLine, UnreadableFile
from alteraser.interaction_log import InteractionLog


def read(path: Path, columns: Columns) -> InteractionLog:
    """Read the interactions; a user's or item's id may be a string or a whole number.

    Raises:
        EmptyFile: There is no row.
        MalformedLine: A row lacks a value, or holds one that cannot be used; rows count from 1.
        MissingColumn: There is no column for the user, the item, or a name that was asked for.
        UnreadableFile: It is not Parquet, or a column is of the wrong type.
    """
    roles = _columns_by_role(path, columns)
    if not len(roles["user"]):
        raise EmptyFile(path)
    for role, column in roles.items():
        _refuse_nulls(path, role, column)
    return InteractionLog(
        users=_ids(path, "user", roles["user"]),
        items=_ids(path, "item", roles["item"]),
        ratings=_ratings(path, roles["rating"]) if "rating" in roles else None,
        times=_times(path, roles["time"]) if "time" in roles else None,
    )


def _columns_by_role(path: Path, columns: Columns) -> dict[str, pa.ChunkedArray]:
    try:
        with arrow_parquet.ParquetFile(path) as file:
            places = columns.find(file.schema_arrow.names, path)
            names = {role: file.schema_arrow.names[place] for role, place in places.items()}
            table = file.read(columns=list(names.values()))
    except (pa.ArrowInvalid, OSError):
        raise UnreadableFile(path, "not a whole Parquet file") from None
    return {role: table[name] for role, name in names.items()}


def _refuse_nulls(path: Path, role: str, column: pa.ChunkedArray) -> None:
    if column.null_count:
        first = compute.index(compute.is_null(column), value=True).as_py()
        raise MalformedLine(path, first + 1, f"the {role} is missing")


def _ids(path: Path, role: str, column: pa.ChunkedArray) -> NDArray[np.object_]:
    value_type = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_integer(value_type) or _is_string(value_type)):
        raise UnreadableFile(path, f"the {role} column holds neither strings nor whole numbers")
    values = ids(column.cast(value_type).cast(pa.string()))
    if not ids_are_sound(values):
        first = next(row for row, id in enumerate(values, start=1) if not id_is_sound(id))
        raise MalformedLine(path, first, f"the {role} is empty, longer than 256 characters or holds a NUL")
    return values


def _is_string(value_type: pa.DataType) -> bool:
    return bool(pa.types.is_string(value_type) or pa.types.is_large_string(value_type))


def _ratings(path: Path, column: pa.ChunkedArray) -> NDArray[np.float64]:
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise UnreadableFile(path, "the rating column does not hold numbers")
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    if not np.isfinite(values).all():
        first = int(np.argmin(np.isfinite(values)))
        raise MalformedLine(path, first + 1, "the rating is not a finite number")
    return values


def _times(path: Path, column: pa.ChunkedArray) -> NDArray[np.int64]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s", column.type.tz), safe=False)
    elif not pa.types.is_integer(column.type):
        raise UnreadableFile(path, "the time column holds neither timestamps nor whole numbers")
    try:
        values: NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        raise UnreadableFile(path, "the time column holds numbers beyond 64 bits") from None
    return values
