"""Comma- and tab-separated files: read whole by Arrow, and line by line only to say which line is wrong."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from alteraser.arrow_columns import id_is_sound, ids, ids_are_sound
from alteraser.errors import DataError, EmptyFile, MalformedLine, UnreadableFile
from alteraser.interaction_log import InteractionLog

ARROW_TYPES = {"user": pa.string(), "item": pa.string(), "rating": pa.float64(), "time": pa.int64()}
DELIMITER_NAMES = {"\t": "tabs", ",": "commas"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of a delimited file are to be read.

    Attributes:
        delimiter: A tab or a comma; quotes mean something beside commas only.
        n_fields: How many fields every line must have.
        places: Field of each role, from 0: ``user``, ``item`` and what there is of ``rating`` and ``time``.
        has_header: Whether the first line names the fields.
    """

    delimiter: str
    n_fields: int
    places: Mapping[str, int]
    has_header: bool


def fields_of(line: str, delimiter: str) -> list[str]:
    """The fields of one line.

    Raises:
        csv.Error: The line cannot be divided.
    """
    if delimiter != ",":
        return line.split(delimiter)
    return next(csv.reader([line], strict=True), [])


def read(path: Path, layout: Layout) -> InteractionLog:
    """Read the interactions of a delimited file; blank lines hold none.

    Raises:
        EmptyFile: There is no line but the header.
        MalformedLine: A line has too few or too many fields, no user, no item, or something that is not a
            number where one belongs.
        UnreadableFile: It is not delimited text.
    """
    try:
        table = _table(path, layout)
    except pa.ArrowInvalid:
        raise _reason_to_refuse(path, layout) from None
    log = _log(table, layout)
    if not len(log) or not _is_sound(log):
        raise _reason_to_refuse(path, layout)
    return log


def _table(path: Path, layout: Layout) -> pa.Table:
    """The columns that have a role, named by it."""
    names = [f"field {place}" for place in range(layout.n_fields)]
    for role, place in layout.places.items():
        names[place] = role
    return arrow_csv.read_csv(
        path,
        arrow_csv.ReadOptions(column_names=names, skip_rows=int(layout.has_header)),
        arrow_csv.ParseOptions(delimiter=layout.delimiter, quote_char='"' if layout.delimiter == "," else False),
        arrow_csv.ConvertOptions(column_types=ARROW_TYPES, include_columns=list(layout.places), null_values=[]),
    )


def _log(table: pa.Table, layout: Layout) -> InteractionLog:
    return InteractionLog(
        users=ids(table["user"]),
        items=ids(table["item"]),
        ratings=table["rating"].to_numpy() if "rating" in layout.places else None,
        times=table["time"].to_numpy() if "time" in layout.places else None,
    )


def _is_sound(log: InteractionLog) -> bool:
    finite = log.ratings is None or bool(np.isfinite(log.ratings).all())
    return finite and ids_are_sound(log.users) and ids_are_sound(log.items)


def _reason_to_refuse(path: Path, layout: Layout) -> DataError:
    """The error for a file that cannot be read: its first malformed line, where it has one."""
    n_interactions = 0
    with path.open("rb") as file:
        for line_number, line in enumerate(file, start=1):
            if not line.strip(b"\r\n") or (layout.has_header and line_number == 1):
                continue
            reason = _what_is_wrong(line, layout)
            if reason is not None:
                return MalformedLine(path, line_number, reason)
            n_interactions += 1
    return UnreadableFile(path, "not delimited text") if n_interactions else EmptyFile(path)


def _what_is_wrong(line: bytes, layout: Layout) -> str | None:
    """Why a line is no interaction, without a word of it; None where it is one."""
    try:
        fields = fields_of(line.decode("utf-8-sig").rstrip("\r\n"), layout.delimiter)
    except UnicodeDecodeError:
        return "not UTF-8"
    except csv.Error:
        return "its quotes do not match"
    if len(fields) != layout.n_fields:
        by = DELIMITER_NAMES[layout.delimiter]
        return f"expected {layout.n_fields} fields separated by {by}, found {len(fields)}"
    wrong = (REASONS[role] for role, place in layout.places.items() if not FITS[role](fields[place]))
    return next(wrong, None)


def _is_finite_number(field: str) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def _is_int64(field: str) -> bool:
    try:
        return -(2**63) <= int(field) < 2**63
    except ValueError:
        return False


FITS: Mapping[str, Callable[[str], bool]] = {
    "user": id_is_sound,
    "item": id_is_sound,
    "rating": _is_finite_number,
    "time": _is_int64,
}
REASONS = {
    "user": "the user is empty, longer than 256 characters or holds a NUL",
    "item": "the item is empty, longer than 256 characters or holds a NUL",
    "rating": "the rating is not a finite number",
    "time": "the time is not a whole number",
}
