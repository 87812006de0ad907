"""Interactions as they were recorded: one row each, before they become a matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alteraser.errors import InvalidInteractions


@dataclass(frozen=True, slots=True, eq=False)
class InteractionLog:
    """Columns of equal length, in the order of the file; its text tells how many rows, never which.

    Attributes:
        users: Ids, an object array of str; rows of one user share one string.
        items: Ids, likewise.
        ratings: One number per row, or None where none were recorded.
        times: Unix seconds, or the place in each user's history; None where neither was recorded.

    Raises:
        InvalidInteractions: The columns are not of one length.
    """

    users: NDArray[np.object_]
    items: NDArray[np.object_]
    ratings: NDArray[np.float64] | None = None
    times: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        columns = (self.users, self.items, self.ratings, self.times)
        if len({len(column) for column in columns if column is not None}) != 1:
            raise InvalidInteractions("the columns of a log must be of one length")

    def __repr__(self) -> str:
        return f"InteractionLog({len(self)} rows)"

    def __len__(self) -> int:
        return len(self.users)


def ids(strings: list[str]) -> NDArray[np.object_]:
    """An id column in which equal ids are one string, shape (len(strings),)."""
    first: dict[str, str] = {}
    return np.array([first.setdefault(id, id) for id in strings], dtype=np.object_)
