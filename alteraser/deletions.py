"""What is to be forgotten."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deletions:
    """Subjects with everything, items with everything, and single interactions.

    A deletion names ids, not rows: it means the same to every generation of the data. Its text tells how
    many, never which.

    Attributes:
        subjects: Users whose every interaction goes, and their id with it.
        items: Items whose every interaction goes, and their id with it.
        pairs: (user, item) interactions that go while user and item stay.
    """

    subjects: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, str]] = frozenset()

    def __or__(self, other: Deletions) -> Deletions:
        """Both at once."""
        return Deletions(self.subjects | other.subjects, self.items | other.items, self.pairs | other.pairs)

    def __repr__(self) -> str:
        return f"Deletions({len(self.subjects)} subjects, {len(self.items)} items, {len(self.pairs)} pairs)"

    def __bool__(self) -> bool:
        return bool(self.subjects or self.items or self.pairs)
