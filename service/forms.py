"""What a browser's form says."""

from __future__ import annotations

from urllib.parse import parse_qsl

from fastapi import Request


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a URL-encoded form; of those sent twice, the last."""
    body = await request.body()
    return dict(parse_qsl(body.decode(errors="replace")))
