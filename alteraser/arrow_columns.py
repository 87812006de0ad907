"""Arrow's columns as the arrays of an interaction log."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LONGEST_ID = 256
"""Characters of an id at most: what a deletion request can name, and a database index can hold."""


def ids(column: pa.ChunkedArray) -> NDArray[np.object_]:
    """A column of strings without nulls as an object array of str; equal ids are one string."""
    encoded = column.dictionary_encode().unify_dictionaries()
    codes = [chunk.indices.to_numpy() for chunk in encoded.chunks]
    if not codes:
        return np.empty(0, dtype=np.object_)
    distinct = np.array(encoded.chunk(0).dictionary.to_pylist(), dtype=np.object_)
    taken: NDArray[np.object_] = distinct[np.concatenate(codes)]
    return taken


def ids_are_sound(column: NDArray[np.object_]) -> bool:
    """Whether every id can be stored; see `id_is_sound`."""
    return all(id_is_sound(id) for id in set(column))


def id_is_sound(id: str) -> bool:
    """Whether an id can be stored and asked for: it is not empty, not too long and holds no NUL."""
    return 0 < len(id) <= LONGEST_ID and "\0" not in id
