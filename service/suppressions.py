"""Whom this process must not know, by pseudonym."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.replicas import Change


class Suppressions:
    """The users and items that are suppressed, as far as the ledger has been read.

    A suppression holds at once. Lifting one waits for `settle`: it may mean that the data is gone from the
    newest generation, which is no reason to show it from an older one, not even to a process that slept
    through the whole deletion.

    Attributes:
        users: Pseudonyms of the users.
        items: Pseudonyms of the items.
        through: Clock value up to which every change is known.
    """

    def __init__(self) -> None:
        self.users: set[str] = set()
        self.items: set[str] = set()
        self.through = 0
        self._lifted: dict[tuple[str, str], int] = {}

    def learn(self, changes: Iterable[Change]) -> None:
        """Suppress every subject that something changed for, and remember who no longer has to be."""
        for change in changes:
            subject = (change.scope, change.subject_hmac)
            self._of(change.scope).add(change.subject_hmac)
            self._lifted.pop(subject, None)
            if not change.active:
                self._lifted[subject] = change.changed
            self.through = max(self.through, change.changed)

    def settle(self, through: int) -> None:
        """Lift what stopped being suppressed up to that clock value: what is served is as new as that."""
        for (scope, pseudonym), changed in list(self._lifted.items()):
            if changed <= through:
                self._of(scope).discard(pseudonym)
                del self._lifted[scope, pseudonym]

    def _of(self, scope: str) -> set[str]:
        return self.users if scope == "user" else self.items
