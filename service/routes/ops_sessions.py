"""Signing in to the operations pages with an API key, and out again."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.exc import OperationalError

from service.auth import BEARER, Runtime
from service.errors import ForgedForm, NotAuthenticated, ScopeMissing, UnsupportedContentType
from service.forms import form_of
from service.page import GO_ON, SEE_OTHER, PageRoute, page
from service.problems import documented
from service.sessions import COOKIE, LASTS_S, cookie_of, is_from_here

router = APIRouter(prefix="/ops/session", tags=["operations"], route_class=PageRoute)

FIRST_PAGE = "/ops"
PAGE = re.compile(r"/ops(/[\w/-]*)?(\?[\w=&:.%+-]*)?")
_FORM = {
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "properties": {"key": {"type": "string"}, "next": {"type": "string"}},
                    "required": ["key"],
                }
            }
        }
    }
}


@router.get(
    "",
    summary="Show the form to sign in with",
    response_class=HTMLResponse,
    responses=documented(Exception),
)
async def form(request: Request) -> Response:
    """Show the form that opens a session. Needs no key."""
    return page("sign_in.html", request, answer=None)


@router.post(
    "",
    summary="Sign in",
    status_code=SEE_OTHER,
    response_class=RedirectResponse,
    responses={
        SEE_OTHER: GO_ON,
        **documented(NotAuthenticated, ScopeMissing, ForgedForm, UnsupportedContentType, OperationalError, Exception),
    },
    openapi_extra=_FORM,
)
async def sign_in(request: Request, parts: Runtime) -> RedirectResponse:
    """Open a session with an API key that has the scope `ops:read`. It lasts a working day, or as long as the key."""
    if not is_from_here(request):
        raise ForgedForm
    sent = await form_of(request)
    caller = await run_in_threadpool(parts.callers.look_up, sent.get("key", "").strip())
    if caller is None:
        raise NotAuthenticated(BEARER)
    if "ops:read" not in caller.scopes:
        raise ScopeMissing(("ops:read",))
    answer = RedirectResponse(_page(sent.get("next", "")), SEE_OTHER)
    is_secure = request.url.scheme == "https"
    opened = cookie_of(caller.key_id, parts.pseudonyms)
    answer.set_cookie(COOKIE, opened, max_age=LASTS_S, secure=is_secure, httponly=True, samesite="strict")
    return answer


@router.post(
    "/end",
    summary="Sign out",
    status_code=SEE_OTHER,
    response_class=RedirectResponse,
    responses={SEE_OTHER: GO_ON, **documented(ForgedForm, UnsupportedContentType, Exception)},
)
async def sign_out(request: Request) -> RedirectResponse:
    """End the session."""
    if not is_from_here(request):
        raise ForgedForm
    answer = RedirectResponse(FIRST_PAGE, SEE_OTHER)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def _page(asked: str) -> str:
    """One of our pages, and not this one: nothing that a form says leads elsewhere."""
    return asked if PAGE.fullmatch(asked) and not asked.startswith(router.prefix) else FIRST_PAGE
