"""The outermost layer of the web process: names each request, logs and measures it, and lets no error out."""

from __future__ import annotations

from time import perf_counter
from uuid import uuid4

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from ledger.logs import told
from service.errors import UNEXPECTED
from service.metrics import Metrics
from service.problems import problem

log = structlog.get_logger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_GONE = 499


class Edge:
    """ASGI middleware around everything else.

    A log line has the template of the route, never the path: a path can hold an identity.

    Attributes:
        app: What is inside.
        metrics: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request and see to its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        trace_id = str(uuid4())
        scope.setdefault("state", {})["trace_id"] = trace_id
        with bound_contextvars(trace_id=trace_id):
            await self._answer(scope, receive, _Watched(send, trace_id))

    async def _answer(self, scope: Scope, receive: Receive, send: _Watched) -> None:
        started_at = perf_counter()
        try:
            await self.app(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - one of the two edges where everything is caught
            log.error("request_failed", **told(error))
            if send.status == CLIENT_GONE:
                await problem(UNEXPECTED, send.trace_id)(scope, receive, send)
        finally:
            self._tell(scope, send.status, perf_counter() - started_at)

    def _tell(self, scope: Scope, status: int, duration_s: float) -> None:
        method, route = _method(scope), _route(scope)
        self.metrics.answered(method, route, status, duration_s)
        answered = {"method": method, "route": route, "status": status, "duration_s": round(duration_s, 6)}
        log.info("request_answered", **answered)


class _Watched:
    """`send`, remembering the status; until there is one, the client counts as gone."""

    def __init__(self, send: Send, trace_id: str) -> None:
        self.send = send
        self.trace_id = trace_id
        self.status = CLIENT_GONE

    async def __call__(self, message: Message) -> None:
        """Send the message; the first one gets the header with the trace id."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-trace-id", self.trace_id.encode())]
        await self.send(message)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in METHODS else "OTHER"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path_format", "unmatched")
