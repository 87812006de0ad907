"""The dependencies that let a caller with the right scope in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer

from ledger.api_keys import Caller
from service.callers import Callers
from service.errors import ForgedForm, NotAuthenticated, ScopeMissing
from service.forms import form_of
from service.parts import Parts, parts_of
from service.sessions import COOKIE, is_from_here, session_of

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    bearerFormat="ak_...",
    description="An API key with the scope needed.",
)
basic = HTTPBasic(
    auto_error=False,
    scheme_name="ApiKeyAsPassword",
    description="For browsers: any user name, and an API key as the password.",
)
cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="BrowserSession",
    description="For browsers: the cookie of whoever signed in with an API key on the operations pages.",
)

BEARER = "Bearer"
BASIC = 'Basic realm="alteraser", charset="UTF-8"'

Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
Basic = Annotated[HTTPBasicCredentials | None, Security(basic)]
Cookie = Annotated[str | None, Security(cookie)]
Runtime = Annotated[Parts, Depends(parts_of)]
Admission = Callable[..., Awaitable[Caller | None]]


def needs(*scopes: str) -> Admission:
    """A dependency that admits callers whose key has one of these scopes; without scopes, any key will do.

    Raises:
        NotAuthenticated: No key, or one that is not good.
        ScopeMissing: The key has none of the scopes.
    """

    async def admit(parts: Runtime, given: Bearer) -> Caller:
        token = given.credentials if given else None
        return await _admitted(parts.callers, token, scopes, BEARER)

    return admit


def needs_unless_demo(*scopes: str) -> Admission:
    """Like `needs`, for what a browser opens: a session or a password will do too; demo mode asks for nothing."""

    async def admit(parts: Runtime, given: Bearer, session: Cookie, as_password: Basic) -> Caller | None:
        caller = await run_in_threadpool(signed_in, parts, session)
        if parts.settings.demo_mode:
            return caller
        token = given.credentials if given else as_password.password if as_password else None
        if token is None and caller is not None:
            return _with_scope(caller, scopes)
        return await _admitted(parts.callers, token, scopes, BASIC)

    return admit


def acts(*scopes: str) -> Callable[..., Awaitable[Caller]]:
    """Like `needs`, for a form that a browser sends: with a session, and only from a page of this very site.

    A key as a password is not enough: browsers send it along with whatever another site makes them send.

    Raises:
        NotAuthenticated: No key and no session, or one that is not good.
        ForgedForm: The form does not come from a page of this session.
        ScopeMissing: The key has none of the scopes.
    """

    async def admit(request: Request, parts: Runtime, given: Bearer, session: Cookie) -> Caller:
        if given is not None:
            return await _admitted(parts.callers, given.credentials, scopes, BEARER)
        caller = await run_in_threadpool(signed_in, parts, session)
        if caller is None:
            raise NotAuthenticated(BEARER)
        sent = (await form_of(request)).get("form_token", "")
        if not is_from_here(request) or not compare_digest(sent.encode(), form_token(parts, session).encode()):
            raise ForgedForm
        return _with_scope(caller, scopes)

    return admit


def signed_in(parts: Parts, session: str | None) -> Caller | None:
    """Who signed in, by the cookie; None where nobody did or the key is good no more."""
    opened = session_of(session, parts.pseudonyms)
    return None if opened is None else parts.callers.holder(opened.key_id)


def form_token(parts: Parts, session: str | None) -> str:
    """What the forms of a session carry; empty where there is none."""
    opened = session_of(session, parts.pseudonyms)
    return "" if opened is None else opened.form_token


async def _admitted(callers: Callers, token: str | None, scopes: tuple[str, ...], challenge: str) -> Caller:
    caller = None
    if token:
        caller = callers.fresh(token) or await run_in_threadpool(callers.look_up, token)
    if caller is None:
        raise NotAuthenticated(challenge)
    return _with_scope(caller, scopes)


def _with_scope(caller: Caller, scopes: tuple[str, ...]) -> Caller:
    if scopes and not set(scopes) & set(caller.scopes):
        raise ScopeMissing(scopes)
    return caller
