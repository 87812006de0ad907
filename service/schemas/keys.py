"""Idempotency keys, as callers write them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints

from service.errors import KeysDiffer

Key = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


def agreed(key: str | None, request_id: UUID | None) -> str | None:
    """The one idempotency key there is; quotes around a header's, and the case of a UUID, mean nothing.

    Raises:
        KeysDiffer: There are two.
    """
    keys = {_canonical(each) for each in (key, request_id) if each is not None}
    if len(keys) > 1:
        raise KeysDiffer
    return keys.pop() if keys else None


def _canonical(key: str | UUID) -> str:
    bare = str(key).strip('"')
    try:
        return str(UUID(bare))
    except ValueError:
        return bare
