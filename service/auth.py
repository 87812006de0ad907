"""The dependencies that let a caller with the right scope in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer

from ledger.api_keys import Caller
from service.callers import Callers
from service.errors import NotAuthenticated, ScopeMissing
from service.parts import Parts, parts_of

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

BEARER = "Bearer"
BASIC = 'Basic realm="alteraser", charset="UTF-8"'

Bearer = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
Basic = Annotated[HTTPBasicCredentials | None, Security(basic)]
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
    """Like `needs`, for what a browser opens: the key may come as a password; demo mode asks for none."""

    async def admit(parts: Runtime, given: Bearer, as_password: Basic) -> Caller | None:
        if parts.settings.demo_mode:
            return None
        token = given.credentials if given else as_password.password if as_password else None
        return await _admitted(parts.callers, token, scopes, BASIC)

    return admit


async def _admitted(callers: Callers, token: str | None, scopes: tuple[str, ...], challenge: str) -> Caller:
    caller = None
    if token:
        caller = callers.fresh(token) or await run_in_threadpool(callers.look_up, token)
    if caller is None:
        raise NotAuthenticated(challenge)
    if scopes and not set(scopes) & set(caller.scopes):
        raise ScopeMissing(scopes)
    return caller
