"""The check of every body before it is read: not too large, and declared to be JSON."""

from __future__ import annotations

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTooLarge, ServiceError, UnsupportedContentType, answer_to
from service.problems import problem

LIMIT_BYTES = 1024 * 1024


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
        refused = _refusal(Headers(scope=scope))
        if refused is not None:
            trace_id = scope["state"]["trace_id"]
            response = problem(answer_to(refused), trace_id, headers={"Connection": "close"})
            await response(scope, receive, send)
            return
        await self.app(scope, _bounded(receive), send)


def _refusal(headers: Headers) -> type[ServiceError] | None:
    """Why these headers announce a body that is not read, or None."""
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > LIMIT_BYTES:
        return BodyTooLarge
    has_body = length != "0" or "transfer-encoding" in headers
    return UnsupportedContentType if has_body and not _is_json(headers.get("content-type", "")) else None


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"


def _bounded(receive: Receive) -> Receive:
    """`receive`, which raises once the body has exceeded the limit: a length need not be announced."""
    received_bytes = 0

    async def bounded() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > LIMIT_BYTES:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return message

    return bounded
