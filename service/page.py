"""HTML pages, rendered on the server from `templates/`; what goes wrong on them is a page too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ledger.tables import Run
from service.errors import ANSWERS, NotAuthenticated, answer_to

NOTHING = "–"
SEE_OTHER = 303
GO_ON = {
    "description": "Done; `Location` is the page to go on with.",
    "headers": {"Location": {"description": "The page.", "schema": {"type": "string"}}},
    "content": {"text/html": {"schema": {"type": "string", "maxLength": 0}}},
}
"""How the contract describes the answer to a form."""
POLICY = "; ".join(
    [
        "default-src 'none'",
        "base-uri 'none'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "img-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
    ]
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


class PageRoute(APIRoute):
    """A route whose errors are pages, for those who ask for pages; others get the problem document."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override] # any awaitable
        """The handler, with errors made pages."""
        answered = super().get_route_handler()

        async def answered_or_told(request: Request) -> Response:
            if "text/html" not in request.headers.get("Accept", ""):
                return await answered(request)
            try:
                return await answered(request)
            except tuple(ANSWERS) as error:
                return _told(request, error)

        return answered_or_told


def page(template: str, request: Request, status: int = 200, **values: object) -> HTMLResponse:
    """The page that a template makes of these values, with what keeps other sites out of it."""
    return HTMLResponse(rendered(template, here=_here(request), **values), status, headers=HEADERS)


def rendered(template: str, **values: object) -> str:
    """A page of these values; every one of them is escaped."""
    return _PAGES.get_template(template).render(values)


def moment(at: datetime | None) -> str:
    """A moment to the millisecond, in UTC."""
    return NOTHING if at is None else f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}"


def since(at: datetime | None, start: datetime) -> str:
    """How long after `start` it was."""
    return NOTHING if at is None else f"+{seconds((at - start).total_seconds())}"


def seconds(value: float | None) -> str:
    """A duration, in milliseconds where it is short and to two digits of a second where it is not."""
    if value is None:
        return NOTHING
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:,.2f} s"


def span(at: datetime, now: datetime) -> str:
    """How far off a moment is, before or after now."""
    return age(abs((at - now).total_seconds()))


def age(value: float) -> str:
    """A long duration, in its two largest units."""
    left_s = int(value)
    if left_s >= DAY_S:
        return f"{left_s // DAY_S} d {left_s % DAY_S // HOUR_S} h"
    if left_s >= HOUR_S:
        return f"{left_s // HOUR_S} h {left_s % HOUR_S // MINUTE_S} min"
    return f"{left_s // MINUTE_S} min {left_s % MINUTE_S} s" if left_s >= MINUTE_S else f"{left_s} s"


def short(name: object) -> str:
    """The first characters of a digest or id, enough to tell it from others."""
    return NOTHING if name is None else str(name)[:12]


def small(value: float | None) -> str:
    """A residual, with three digits."""
    return NOTHING if value is None else f"{value:.2e}"


def words(name: str) -> str:
    """A name of ours as words."""
    return name.replace("_", " ")


def proven(run: Run) -> str:
    """The proven error of a run's scores as a share of their size, or why there is none."""
    if run.certificate is None:
        return run.uncertified or NOTHING
    return small(run.certificate["rmse_ratio"])


def figure(value: object) -> str:
    """A value of a report or a certificate."""
    if value is None:
        return NOTHING
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _told(request: Request, error: Exception) -> HTMLResponse:
    """The page that says what went wrong, or asks for a key."""
    answer = answer_to(type(error))
    values: dict[str, Any] = {"answer": answer, "trace_id": request.state.trace_id}
    is_unknown = isinstance(error, NotAuthenticated)
    told = page("sign_in.html" if is_unknown else "problem.html", request, int(answer.status), **values)
    if is_unknown:
        told.headers["WWW-Authenticate"] = "Bearer"  # a page asks for the key, and no window of the browser's
        told.headers["HX-Refresh"] = "true"
    return told


def _here(request: Request) -> str:
    """The path and query of the page."""
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


_PAGES = Environment(
    loader=PackageLoader("service"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {
    each.__name__: each for each in (age, figure, moment, proven, seconds, short, since, small, span, words)
}
