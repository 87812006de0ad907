"""Who is calling: API keys, looked up in the ledger and remembered for a moment."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from sqlalchemy.exc import InterfaceError, OperationalError

from ledger.api_keys import Caller, authenticate, holder
from ledger.database import Database, unit_of_work

LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class _Remembered:
    caller: Caller
    at: float


class Callers:
    """The callers behind API keys.

    A good key is remembered by its hash, so that a recommendation needs no database; a bad one never is.
    While the database is away, what is remembered stays good.

    Attributes:
        database: Where the keys are.
        memory_s: Seconds for which a good key is not looked up again.
    """

    def __init__(self, database: Database, memory_s: float) -> None:
        self.database = database
        self.memory_s = memory_s
        self._remembered: dict[bytes, _Remembered] = {}

    def fresh(self, token: str) -> Caller | None:
        """The caller, where the key was looked up a moment ago; asks nobody."""
        known = self._remembered.get(_hash(token))
        return known.caller if known is not None and monotonic() - known.at < self.memory_s else None

    def look_up(self, token: str) -> Caller | None:
        """The caller, asking the database; None where the key is unknown or revoked.

        Raises:
            OperationalError: The database is away, and the key is not remembered.
        """
        digest = _hash(token)
        try:
            with unit_of_work(self.database) as session:
                caller = authenticate(session, token)
        except (OperationalError, InterfaceError):
            if digest in self._remembered:
                return self._remembered[digest].caller
            raise
        self._remember(digest, caller)
        return caller

    def holder(self, key_id: UUID) -> Caller | None:
        """The caller behind a browser's session, asking the database; None where the key was revoked."""
        with unit_of_work(self.database) as session:
            return holder(session, key_id)

    def _remember(self, digest: bytes, caller: Caller | None) -> None:
        if caller is None:
            self._remembered.pop(digest, None)
            return
        if len(self._remembered) >= LIMIT:
            self._remembered.clear()
        self._remembered[digest] = _Remembered(caller, monotonic())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
