"""Which column of a table holds the user, the item, the rating and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alteraser.errors import MissingColumn

KNOWN_NAMES = {
    "user": ("user", "user_id", "userid", "uid"),
    "item": ("item", "item_id", "itemid", "sid", "iid", "movieid"),
    "rating": ("rating",),
    "time": ("timestamp", "time", "order"),
}
REQUIRED = ("user", "item")


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns, where they are not the usual ones.

    Attributes:
        user: Holds the user's id; None looks for a usual name.
        item: Holds the item's id; likewise.
        rating: Holds a number; likewise, and may be missing where it is not named.
        time: Holds unix seconds or an order; likewise.
    """

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    time: str | None = None

    def find(self, header: Sequence[str], path: Path) -> dict[str, int]:
        """The place of each role's column in the header of `path`; roles not recorded are left out.

        Raises:
            MissingColumn: There is none for the user, the item, or a name that was asked for.
        """
        places = {role: self._place(role, header) for role in KNOWN_NAMES}
        for role, place in places.items():
            if place is None and (role in REQUIRED or self._named(role)):
                raise MissingColumn(path, role, self._names(role))
        return {role: place for role, place in places.items() if place is not None}

    def _place(self, role: str, header: Sequence[str]) -> int | None:
        lowered = [name.strip().lower() for name in header]
        found = (lowered.index(name.lower()) for name in self._names(role) if name.lower() in lowered)
        return next(found, None)

    def _names(self, role: str) -> tuple[str, ...]:
        named = self._named(role)
        return KNOWN_NAMES[role] if named is None else (named,)

    def _named(self, role: str) -> str | None:
        name: str | None = getattr(self, role)
        return name
