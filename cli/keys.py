"""`alteraser keys`: API keys, of which the ledger keeps only hashes."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from rich.console import Console

from cli.deployment import Deployment, transaction
from ledger import api_keys

DEFAULT_TENANT = "default"


def create(deployment: Deployment, tenant: str, name: str, scopes: Iterable[str]) -> str:
    """Make a key with these scopes, or with every scope where none is named, and return it: it is not kept.

    Raises:
        UnknownScope: A scope does not exist.
    """
    with transaction(deployment) as session:
        return api_keys.create(session, tenant, name, tuple(scopes) or api_keys.SCOPES)


def show(console: Console, deployment: Deployment) -> None:
    """Print every key's id, state, tenant, name and scopes, a line each, oldest first."""
    with transaction(deployment) as session:
        for key in api_keys.listed(session):
            state = "works" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%d}"
            scopes = "every scope" if set(key.scopes) == set(api_keys.SCOPES) else " ".join(key.scopes)
            line = f"{key.id}  {state}  {key.tenant}  {key.name}  ({scopes})"
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def revoke(deployment: Deployment, key_id: UUID) -> bool:
    """Make a key worthless; False where there is none with that id that still works."""
    with transaction(deployment) as session:
        return api_keys.revoke(session, key_id)
