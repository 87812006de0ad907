"""Real data in its usual forms, recognised by what it holds.

Forms: MovieLens' ``u.data`` (four tab-separated columns, no header), tab- or comma-separated columns with a
header, adjacency text (``user item item ...``), Parquet; and a folder that holds one of these under a known
name. Ids are kept as the strings they are written as.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alteraser import adjacency, delimited, parquet
from alteraser.columns import Columns
from alteraser.errors import EmptyFile, NoSuchData, UnknownLayout
from alteraser.interaction_log import InteractionLog
from alteraser.interactions import Interactions, Vocabulary

__all__ = ["Columns", "InteractionLog", "Split", "load", "load_split"]

U_DATA = "u.data"
U_DATA_LAYOUT = delimited.Layout("\t", 4, {"user": 0, "item": 1, "rating": 2, "time": 3}, has_header=False)
KNOWN_FOLDERS = (
    (U_DATA,),
    ("ratings.tsv",),
    ("ratings.csv",),
    ("train.txt", "valid.txt", "test.txt"),
    ("train.csv", "valid.csv", "test.csv"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Data to train on and data to be measured by, over one pair of vocabularies.

    Attributes:
        train: What the model may see.
        test: What it should predict, or None where the data has no such part.
        n_test_dropped: Rows of the test part whose user or item the training part never met.
    """

    train: Interactions
    test: Interactions | None
    n_test_dropped: int = 0


def load(path: Path, *, columns: Columns | None = None) -> InteractionLog:
    """Read every interaction of a file, or of all parts of a known folder.

    Args:
        path: The file or folder.
        columns: Names of the columns, where they are not the usual ones.

    Raises:
        DataError: It cannot be read; the subclass, the file and the line say why.
    """
    if not path.exists():
        raise NoSuchData(path)
    if not path.is_dir():
        return _read_file(path, columns)
    first, *others = _known_files(path)
    parts = [first, *(part for part in others if part.exists())]
    return _joined([_read_file(part, columns) for part in parts])


def load_split(path: Path) -> Split:
    """Read a benchmark's training and test parts; a validation part is left out of both.

    Raises:
        DataError: It cannot be read; the subclass, the file and the line say why.
    """
    train_path = _known_files(path)[0] if path.is_dir() else path
    log = load(train_path)
    train = Interactions.from_pairs(log.users, log.items)
    test_path = train_path.with_stem("test")
    if train_path.stem != "train" or not test_path.exists():
        return Split(train, test=None)
    return _split(train, load(test_path))


def _split(train: Interactions, test: InteractionLog) -> Split:
    users, items = _known_rows(test.users, train.users), _known_rows(test.items, train.items)
    known = (users >= 0) & (items >= 0)
    kept = Interactions.from_rows(train.users, train.items, users[known], items[known])
    return Split(train, kept, n_test_dropped=int((~known).sum()))


def _known_rows(ids: NDArray[np.object_], vocabulary: Vocabulary) -> NDArray[np.int64]:
    """The row of each id, -1 where it is unknown, shape (len(ids),)."""
    rows = (vocabulary.row(id) for id in ids)
    return np.array([-1 if row is None else row for row in rows], dtype=np.int64)


def _known_files(folder: Path) -> list[Path]:
    for names in KNOWN_FOLDERS:
        if (folder / names[0]).is_file():
            return [folder / name for name in names]
    raise UnknownLayout(folder, "a folder with one of " + ", ".join(names[0] for names in KNOWN_FOLDERS))


def _joined(logs: list[InteractionLog]) -> InteractionLog:
    ratings = [log.ratings for log in logs if log.ratings is not None]
    times = [log.times for log in logs if log.times is not None]
    return InteractionLog(
        users=np.concatenate([log.users for log in logs]),
        items=np.concatenate([log.items for log in logs]),
        ratings=np.concatenate(ratings) if len(ratings) == len(logs) else None,
        times=np.concatenate(times) if len(times) == len(logs) else None,
    )


def _read_file(path: Path, columns: Columns | None) -> InteractionLog:
    if _is_parquet(path):
        return parquet.read(path, columns or Columns())
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first_line = file.readline().rstrip("\n")
    if not path.stat().st_size:
        raise EmptyFile(path)
    layout = _delimited_layout(path, first_line, columns)
    if layout is not None:
        return delimited.read(path, layout)
    if _are_whole_numbers(first_line.split()) and columns is None:
        return adjacency.read(path)
    raise UnknownLayout(path, "columns separated by tabs or commas, or whole numbers separated by spaces")


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix == ".parquet" or file.read(4) == b"PAR1"


def _delimited_layout(path: Path, first_line: str, columns: Columns | None) -> delimited.Layout | None:
    """How to read a delimited file, told by its first line; None where that has neither tab nor comma."""
    delimiter = next((mark for mark in "\t," if mark in first_line), None)
    if path.name == U_DATA and columns is None:
        return U_DATA_LAYOUT
    if delimiter is None:
        return None
    if _is_u_data(first_line) and columns is None:
        return U_DATA_LAYOUT
    header = delimited.fields_of(first_line, delimiter)
    places = (columns or Columns()).find(header, path)
    return delimited.Layout(delimiter, len(header), places, has_header=True)


def _is_u_data(line: str) -> bool:
    fields = line.split("\t")
    return len(fields) == U_DATA_LAYOUT.n_fields and _are_whole_numbers(fields)


def _are_whole_numbers(fields: list[str]) -> bool:
    return bool(fields) and all(field.isascii() and field.isdecimal() for field in fields)
