"""Adjacency text: a line ``user item item ...`` for each user, all of them whole numbers."""

from __future__ import annotations

from itertools import chain, repeat
from pathlib import Path

from alteraser.errors import EmptyFile, MalformedLine
from alteraser.interaction_log import InteractionLog, ids


def read(path: Path) -> InteractionLog:
    """Read the interactions; blank lines and users without items hold none.

    Raises:
        EmptyFile: There is no interaction.
        MalformedLine: Something on a line is not a whole number, or its user had a line before, as happens
            when columns are separated by spaces.
    """
    items_of: dict[str, list[str]] = {}
    with path.open(encoding="ascii", errors="replace") as file:
        for line_number, line in enumerate(file, start=1):
            user, *items = line.split() or [""]
            reason = _what_is_wrong(user, items, user in items_of)
            if reason is not None:
                raise MalformedLine(path, line_number, reason)
            if user:
                items_of[user] = items
    if not any(items_of.values()):
        raise EmptyFile(path)
    return InteractionLog(
        users=ids(list(chain.from_iterable(repeat(u, len(items)) for u, items in items_of.items()))),
        items=ids(list(chain.from_iterable(items_of.values()))),
    )


def _what_is_wrong(user: str, items: list[str], seen: bool) -> str | None:
    if seen:
        return "its user had a line before: one line lists all items of a user"
    if user and not (user + "".join(items)).isdecimal():
        return "expected whole numbers separated by spaces"
    return None
