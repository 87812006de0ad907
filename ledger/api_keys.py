"""API keys: who may call and what for. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from ledger.errors import UnknownScope
from ledger.tables import ApiKey

SCOPES = (
    "deletion:create",
    "deletion:read",
    "deletion:cancel",
    "recommend",
    "interactions:write",
    "models:admin",
    "ops:read",
    "ops:write",
)
PREFIX = "ak_"
RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a valid key."""

    tenant: str
    scopes: frozenset[str]
    key_id: UUID


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as its owner may see it: without the key."""

    id: UUID
    tenant: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None


def create(session: Session, tenant: str, name: str, scopes: Iterable[str]) -> str:
    """Make a key and return it, the only time it can be seen.

    Raises:
        UnknownScope: A scope does not exist.
    """
    granted = sorted(set(scopes))
    for scope in granted:
        if scope not in SCOPES:
            raise UnknownScope(scope, SCOPES)
    token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
    session.execute(insert(ApiKey).values(tenant=tenant, name=name, hash=_hash(token), scopes=granted))
    return token


def authenticate(session: Session, token: str) -> Caller | None:
    """Who holds the key; None when it does not exist or was revoked."""
    key = session.scalar(select(ApiKey).where(ApiKey.hash == _hash(token), ApiKey.revoked_at.is_(None)))
    return None if key is None else Caller(key.tenant, frozenset(key.scopes), key.id)


def holder(session: Session, key_id: UUID) -> Caller | None:
    """Who holds the key of that id, for a session it opened; None when it does not exist or was revoked."""
    key = session.scalar(select(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)))
    return None if key is None else Caller(key.tenant, frozenset(key.scopes), key.id)


def revoke(session: Session, key_id: UUID) -> bool:
    """Refuse the key from now on; returns False when there is no such key in force."""
    in_force = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
    revoked = session.execute(in_force.values(revoked_at=func.clock_timestamp()).returning(ApiKey.id))
    return revoked.first() is not None


def listed(session: Session) -> Sequence[KeyView]:
    """Every key ever made, oldest first."""
    return [
        KeyView(key.id, key.tenant, key.name, tuple(key.scopes), key.created_at, key.revoked_at)
        for key in session.scalars(select(ApiKey).order_by(ApiKey.created_at))
    ]


def _hash(token: str) -> str:
    """A key has 256 random bits: nothing slower than SHA-256 is needed against guessing."""
    return hashlib.sha256(token.encode()).hexdigest()
