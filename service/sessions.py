"""Browser sessions: an API key is typed in once, and a cookie that only this deployment can make stands for it.

The cookie names the key, not more: it is looked up at every request, so a key that is revoked ends its sessions.
Nothing is kept on the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest
from time import time
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request

from ledger.pseudonym import Pseudonyms

COOKIE = "alteraser_ops"
LASTS_S = 8 * 3600


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """Somebody has signed in.

    Attributes:
        key_id: With which API key.
        form_token: What every form of this session carries, and no other site can know.
    """

    key_id: UUID
    form_token: str


def cookie_of(key_id: UUID, pseudonyms: Pseudonyms) -> str:
    """The cookie of a session that begins now."""
    said = f"{key_id}.{int(time()) + LASTS_S}"
    return f"{said}.{pseudonyms.vouched(said)}"


def session_of(cookie: str | None, pseudonyms: Pseudonyms) -> BrowserSession | None:
    """The session a cookie stands for; None where it is not ours, or over."""
    said, _, vouched = (cookie or "").rpartition(".")
    if not compare_digest(vouched.encode(), pseudonyms.vouched(said).encode()):
        return None
    key_id, _, ends_at = said.partition(".")
    if int(ends_at) < time():
        return None
    return BrowserSession(UUID(key_id), pseudonyms.vouched(f"form {said}"))


def is_from_here(request: Request) -> bool:
    """Whether a page of this very site sent the request, as the browser says."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(request.headers.get("Origin", "")).netloc == request.headers.get("Host")
