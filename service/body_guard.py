"""The check of every body before it is read: not too large, and declared to be JSON, or a form where forms are sent."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge, ServiceError, UnsupportedContentType, answer_to
from service.problems import problem

LIMIT_BYTES = 1024 * 1024
BATCH_LIMIT_BYTES = 4 * LIMIT_BYTES
BATCHES = ":batch"
"""Paths that end so take more."""

FORMS = "/ops/"
"""Paths that begin so take what a browser's form sends, and no JSON."""


class BodyGuard:
    """ASGI middleware that answers 413 and 415 before a route is asked.

    Attributes:
        app: What is guarded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit_bytes = BATCH_LIMIT_BYTES if scope["path"].endswith(BATCHES) else LIMIT_BYTES
        expected = "application/x-www-form-urlencoded" if scope["path"].startswith(FORMS) else "application/json"
        refused = _refusal(Headers(scope=scope), limit_bytes, expected)
        if refused is not None:
            trace_id = scope["state"]["trace_id"]
            response = problem(answer_to(refused), trace_id, headers={"Connection": "close"})
            await response(scope, receive, send)
            return
        await self.app(scope, _bounded(receive, limit_bytes), send)


def _refusal(headers: Headers, limit_bytes: int, expected: str) -> type[ServiceError] | None:
    """Why these headers announce a body that is not read, or None."""
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit_bytes:
        return BodyTooLarge
    has_body = length != "0" or "transfer-encoding" in headers
    is_expected = headers.get("content-type", "").partition(";")[0].strip().lower() == expected
    return UnsupportedContentType if has_body and not is_expected else None


def _bounded(receive: Receive, limit_bytes: int) -> Receive:
    """`receive`, which raises once the body has exceeded the limit: a length need not be announced."""
    received_bytes = 0

    async def bounded() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > limit_bytes:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    return bounded
