"""The public keys that receipts are signed with."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from ledger.receipts import jwks
from service.auth import Runtime
from service.problems import documented

router = APIRouter(tags=["receipts"])


@router.get("/.well-known/jwks.json", summary="Publish the receipt keys", responses=documented(Exception))
def published(parts: Runtime) -> dict[str, Any]:
    """Publish the JSON Web Key Set of every key a receipt was ever signed with. Needs no key."""
    return jwks(parts.settings.secrets_dir)
