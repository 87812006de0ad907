"""The OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from service.auth import needs_unless_demo
from service.problems import documented_with_key

router = APIRouter(tags=["operations"])


@router.get(
    "/openapi.json",
    summary="Describe this interface",
    dependencies=[Depends(needs_unless_demo())],
    responses=documented_with_key(),
)
async def described(request: Request) -> dict[str, Any]:
    """Describe every call of this interface. Needs any key; in demo mode none."""
    document: dict[str, Any] = request.app.openapi()
    return document
