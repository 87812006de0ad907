"""The outermost layer of the web process: names each request, logs and measures it, and lets no error out."""

from __future__ import annotations

from time import perf_counter
from uuid import UUID, uuid4

import structlog
from opentelemetry.trace import INVALID_TRACE_ID, Span, Status, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from ledger import tracing
from ledger.logs import told
from service.errors import UNEXPECTED
from service.metrics import Metrics
from service.problems import problem

log = structlog.get_logger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CLIENT_GONE = 499
UNEXPECTED_FROM = 500


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
        self.metrics.asked()
        with tracing.answering(Headers(scope=scope).get(tracing.HEADER)) as span:
            trace_id = _named(span)
            scope.setdefault("state", {})["trace_id"] = trace_id
            watched = _Watched(send, trace_id)
            with bound_contextvars(trace_id=trace_id):
                await self._answer(scope, receive, watched)
            _describe(span, scope, watched.status)

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
        log.info("request_answered", **answered, **_request(scope))


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


def _named(span: Span) -> str:
    """The id of the trace the answer belongs to; a new one where none is kept."""
    trace_id = span.get_span_context().trace_id
    return str(uuid4() if trace_id == INVALID_TRACE_ID else UUID(int=trace_id))


def _describe(span: Span, scope: Scope, status: int) -> None:
    """Say what was asked and answered, by the template of the route."""
    method, route = _method(scope), _route(scope)
    span.update_name(f"{method} {route}")
    span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    span.set_attributes({f"alteraser.{name}": value for name, value in _request(scope).items()})
    if status >= UNEXPECTED_FROM:
        span.set_status(Status(StatusCode.ERROR))


def _request(scope: Scope) -> dict[str, str]:
    """The deletion request that the path names, if it is an id: it may be anything else."""
    try:
        return {"request": str(UUID(scope.get("path_params", {})["request_id"]))}
    except (KeyError, ValueError):
        return {}
