"""What is to be forgotten, by a word for it: ``user=median``, ``users=60``, ``interactions=1%``, ``file=PATH`` ..."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alteraser.deletions import Deletions
from alteraser.errors import DataError
from alteraser.interactions import Interactions
from alteraser.loaders import load

Rows = NDArray[np.int64]
Draw = np.random.Generator

AROUND_MEDIAN = 0.05
"""``user=median`` is one of this share of the users, those around the median of activity."""

TOP = 0.01
"""``user=heavy`` is one of this share of the users, the most active; ``item=popular`` likewise."""

FORMS = "user=median|heavy|ID, users=N, interactions=P%|N, item=popular|ID, file=PATH"


class UnknownForgetting(ValueError):
    """A word for what is to be forgotten that means nothing, or nothing in this data.

    Attributes:
        reason: What is wrong with it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; known are {FORMS}")
        self.reason = reason


def forgotten(spec: str, data: Interactions, draw: int) -> Deletions:
    """Return the deletions a word stands for.

    Args:
        spec: One of `FORMS`. ``median``, ``heavy``, ``popular``, ``users=N`` and ``interactions=`` are drawn at random.
        data: What is there to forget.
        draw: Seed of the draw.

    Raises:
        UnknownForgetting: It is none of them, or there is no such thing in the data.
    """
    name, _, value = spec.partition("=")
    if name not in READERS or not value:
        raise UnknownForgetting(f"{spec!r} is not NAME=VALUE with a known name")
    deletions = READERS[name](value, data, np.random.default_rng(draw))
    if len(data.without(deletions)) in (0, len(data)):
        raise UnknownForgetting("it must take some interactions and leave some")
    return deletions


def in_the_open(spec: str) -> str:
    """Return the word as it may be published: of a file's path the name alone."""
    name, _, value = spec.partition("=")
    return f"file={Path(value).name}" if name == "file" else spec


def _user(value: str, data: Interactions, draw: Draw) -> Deletions:
    by_activity = _by_count(data.by_user.counts)
    if value == "median":
        half = AROUND_MEDIAN / 2
        row = draw.choice(_between(by_activity, 0.5 - half, 0.5 + half))
    elif value == "heavy":
        row = draw.choice(_between(by_activity, 1 - TOP, 1))
    elif (known := data.users.row(value)) is not None:
        row = known
    else:
        raise UnknownForgetting("there is no user of that id")
    return Deletions(subjects=frozenset([data.users.ids[row]]))


def _users(value: str, data: Interactions, draw: Draw) -> Deletions:
    n = _whole_number(value, "users", most=data.n_users - 1)
    return Deletions(subjects=frozenset(data.users.ids[row] for row in draw.choice(data.n_users, n, replace=False)))


def _interactions(value: str, data: Interactions, draw: Draw) -> Deletions:
    n = _share(value, len(data)) if value.endswith("%") else _whole_number(value, "interactions", most=len(data) - 1)
    places = draw.choice(len(data), n, replace=False)
    users = np.searchsorted(data.by_user.indptr, places, side="right") - 1
    items = data.by_user.indices[places]
    pairs = zip(users.tolist(), items.tolist(), strict=True)
    return Deletions(pairs=frozenset((data.users.ids[user], data.items.ids[item]) for user, item in pairs))


def _item(value: str, data: Interactions, draw: Draw) -> Deletions:
    if value == "popular":
        row = draw.choice(_between(_by_count(data.by_item.counts), 1 - TOP, 1))
    elif (known := data.items.row(value)) is not None:
        row = known
    else:
        raise UnknownForgetting("there is no item of that id")
    return Deletions(items=frozenset([data.items.ids[row]]))


def _file(value: str, data: Interactions, _draw: Draw) -> Deletions:
    try:
        log = load(Path(value))
    except DataError as error:
        raise UnknownForgetting(str(error)) from None
    named = frozenset(zip(log.users.tolist(), log.items.tolist(), strict=True))
    pairs = frozenset(pair for pair in named if _has(data, *pair))
    if not pairs:
        raise UnknownForgetting("none of the file's interactions is in the training data")
    return Deletions(pairs=pairs)


READERS: dict[str, Callable[[str, Interactions, Draw], Deletions]] = {
    "user": _user,
    "users": _users,
    "interactions": _interactions,
    "item": _item,
    "file": _file,
}


def _by_count(counts: Rows) -> Rows:
    """The rows that have interactions, fewest first."""
    order = np.argsort(counts, kind="stable")
    return order[counts[order] > 0]


def _between(rows: Rows, low: float, high: float) -> Rows:
    """The rows whose place lies between two shares of the whole; at least one."""
    start = min(round(low * len(rows)), len(rows) - 1)
    return rows[start : max(round(high * len(rows)), start + 1)]


def _share(value: str, whole: int) -> int:
    try:
        share = float(value[:-1]) / 100
    except ValueError:
        raise UnknownForgetting(f"{value!r} is not a percentage") from None
    if not 0 < share < 1:
        raise UnknownForgetting("a percentage of interactions must lie between 0 and 100, both excluded")
    return max(round(share * whole), 1)


def _whole_number(value: str, what: str, most: int) -> int:
    if not value.isascii() or not value.isdecimal() or not 1 <= int(value) <= most:
        raise UnknownForgetting(f"a number of {what} must be a whole number from 1 to {most} here")
    return int(value)


def _has(data: Interactions, user_id: str, item_id: str) -> bool:
    user, item = data.users.row(user_id), data.items.row(item_id)
    return user is not None and item is not None and data.by_user.position(user, item) is not None
