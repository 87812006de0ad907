"""Recording: what is asked to be forgotten gets its rows, once per key, one request or ten thousand at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from sqlalchemy import Text, func, insert, literal, select
from sqlalchemy.orm import Session

from alteraser.deletions import Deletions
from ledger import interactions, tracing
from ledger.among import among
from ledger.arrays import insert_all
from ledger.clock import tick
from ledger.deletions import Kind, combined, scope_of
from ledger.errors import KeyReused, LedgerError, LinesRefused, UnknownSubject
from ledger.log import salts
from ledger.log.entries import enter
from ledger.pseudonym import Pseudonyms
from ledger.states import settle
from ledger.tables import CallbackUrl, DeletionRequest, Erasure, Model, RequestModel

TenantKey: TypeAlias = tuple[str, str]
"""Whose key it is, and its keyed digest."""


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What a caller asks to be forgotten.

    Attributes:
        tenant: Whose request it is; others get "not found" for it.
        kind: ``subject``: `user` with everything; ``interactions``: the pairs of `user` with `items`;
            ``item``: `item` with everything.
        key: The caller's idempotency key, unique per tenant; None records a new request every time.
        reason: Why, in the caller's words. Kept after the request ends: no identities in it.
        due_days: Days until the request is overdue.
        callback_urls: Where to tell of every change of its state; checked by whoever took them in.
    """

    tenant: str
    kind: Kind
    user: str | None = None
    items: tuple[str, ...] = ()
    item: str | None = None
    key: str | None = None
    reason: str | None = None
    due_days: int = 30
    callback_urls: tuple[str, ...] = ()

    @property
    def subject(self) -> str | None:
        """The user or the item it is about."""
        return self.item if self.kind == "item" else self.user

    @property
    def payload(self) -> dict[str, Any] | None:
        """What of the user it is about, where that is not all."""
        return {"items": sorted(set(self.items))} if self.kind == "interactions" else None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The request that now stands in the ledger; `replayed` if it stood there before."""

    request_id: UUID
    replayed: bool


def record(session: Session, new: NewRequest, pseudonyms: Pseudonyms) -> Recorded:
    """Record a request and suppress its subject in the same transaction, once per key.

    Raises:
        KeyReused: The key was used with another payload.
        UnknownSubject: No interaction of the subject, of the item, or none of the pairs is stored.
    """
    try:
        return record_all(session, [new], pseudonyms)[0]
    except LinesRefused as refused:
        raise refused.faults[0] from None


def record_all(session: Session, news: Sequence[NewRequest], pseudonyms: Pseudonyms) -> list[Recorded]:
    """Record requests as if they came one after the other, all or none; what became of each, in their order.

    Of several with one key and one payload the first is recorded and the others replay it.

    Raises:
        LinesRefused: Some of them cannot be recorded; which, and why.
    """
    lines = [_Line.of(new, pseudonyms) for new in news]
    last = tick(session, len(news))  # from here on everybody else who records waits
    known = _earlier(session, lines)
    stored = interactions.held(session, combined(map(_asked, lines)))
    faults: dict[int, LedgerError] = {}
    firsts: list[_Line | _Earlier] = []
    for number, line in enumerate(lines):
        first = line if line.tenant_key is None else known.setdefault(line.tenant_key, line)
        if first.payload_digest != line.payload_digest:
            faults[number] = KeyReused()
        elif first is line and not line.is_about(stored):
            faults[number] = UnknownSubject(line.new.kind)
        firsts.append(first)
    if faults:
        raise LinesRefused(faults)
    pairs = list(zip(lines, firsts, strict=True))
    numbered = enumerate(pairs, start=last - len(news) + 1)
    _insert(session, [replace(line, sequence=sequence) for sequence, (line, first) in numbered if first is line])
    return [Recorded(first.request_id, replayed=first is not line) for line, first in pairs]


def ask_models(session: Session, request_ids: Sequence[UUID]) -> bool:
    """Ask every declared model for each of the requests; whether there is a model."""
    asked = select(DeletionRequest.id, Model.name, literal("pending")).where(among(DeletionRequest.id, request_ids))
    put = insert(RequestModel).from_select(["request_id", "model", "state"], asked.join(Model, literal(True)))
    inserted = session.execute(put, execution_options={"preserve_rowcount": True})
    return bool(inserted.rowcount)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A request that was recorded before under some key."""

    request_id: UUID
    payload_digest: str


@dataclass(frozen=True, slots=True)
class _Line:
    """A request with its id, the keyed digests that are kept of it for good, and its place in the order of commits."""

    new: NewRequest
    request_id: UUID
    key_digest: str | None
    payload_digest: str
    subject_hmac: str
    sequence: int = 0

    @classmethod
    def of(cls, new: NewRequest, pseudonyms: Pseudonyms) -> _Line:
        asked: dict[str, Any] = {
            "kind": new.kind,
            "subject": new.subject,
            "payload": new.payload,
            "reason": new.reason,
        }
        if new.callback_urls:
            asked["callback_urls"] = sorted(set(new.callback_urls))
        spelled = json.dumps(asked, sort_keys=True, separators=(",", ":"))
        pseudonym = pseudonyms.item if new.kind == "item" else pseudonyms.user
        return cls(
            new=new,
            request_id=uuid4(),
            key_digest=None if new.key is None else pseudonyms.payload(new.key.encode()),
            payload_digest=pseudonyms.payload(spelled.encode()),
            subject_hmac=pseudonym(new.subject or ""),
        )

    @property
    def tenant_key(self) -> TenantKey | None:
        """Under what it may have come before."""
        return None if self.key_digest is None else (self.new.tenant, self.key_digest)

    @property
    def scoped(self) -> tuple[str, str]:
        """The scope and the pseudonym of whom or what it is about."""
        return scope_of(self.new.kind), self.subject_hmac

    def is_about(self, stored: Deletions) -> bool:
        """Whether something of it is stored."""
        user = self.new.user or ""
        if self.new.kind == "item":
            return self.new.item in stored.items
        return user in stored.subjects if self.new.kind == "subject" else self._has_pair(user, stored)

    def _has_pair(self, user: str, stored: Deletions) -> bool:
        return any((user, item) in stored.pairs for item in self.new.items)


def _earlier(session: Session, lines: Sequence[_Line]) -> dict[TenantKey, _Line | _Earlier]:
    """The requests that were recorded before under the keys of these."""
    keys = [line.tenant_key for line in lines if line.tenant_key is not None]
    found = session.execute(
        select(
            DeletionRequest.tenant, DeletionRequest.key_digest, DeletionRequest.id, DeletionRequest.payload_digest
        ).where(
            among(DeletionRequest.tenant, sorted({tenant for tenant, _ in keys})),
            among(DeletionRequest.key_digest, [key for _, key in keys]),
        )
    )
    return {(tenant, key or ""): _Earlier(request_id, payload) for tenant, key, request_id, payload in found}


def _insert(session: Session, lines: Sequence[_Line]) -> None:
    """Insert the requests, suppress their subjects, and ask every model; where there is none, they are done."""
    if not lines:
        return
    request_ids = [line.request_id for line in lines]
    _insert_requests(session, lines, request_ids)
    _suppress(session, lines, request_ids)
    _remember_callbacks(session, lines)
    aliases = salts.aliases(session, [line.scoped for line in lines])
    for line in lines:
        named = {"kind": line.new.kind, "subject": aliases[line.scoped], "sequence": line.sequence}
        enter(session, "request_recorded", request=line.request_id, **named)
    if not ask_models(session, request_ids):
        interactions.delete_rows(session, combined(map(_asked, lines)))
        settle(session, request_ids)


def _insert_requests(session: Session, lines: Sequence[_Line], request_ids: Sequence[UUID]) -> None:
    now = session.execute(select(func.clock_timestamp())).scalar_one()
    columns = {
        "id": request_ids,
        "tenant": [line.new.tenant for line in lines],
        "key_digest": [line.key_digest for line in lines],
        "payload_digest": [line.payload_digest for line in lines],
        "kind": [line.new.kind for line in lines],
        "subject": [line.new.subject for line in lines],
        "payload": [line.new.payload for line in lines],
        "subject_hmac": [line.subject_hmac for line in lines],
        "sequence": [line.sequence for line in lines],
        "reason": [line.new.reason for line in lines],
        "due_at": [now + timedelta(days=line.new.due_days) for line in lines],
    }
    shared = {
        "state": literal("pending"),
        "recorded_at": literal(now),
        "traceparent": literal(tracing.traceparent(), Text),
    }
    insert_all(session, DeletionRequest, columns, **shared)


def _suppress(session: Session, lines: Sequence[_Line], request_ids: Sequence[UUID]) -> None:
    """Suppress the subject of each request from its sequence on."""
    sequences = [line.sequence for line in lines]
    columns = {
        "request_id": request_ids,
        "scope": [scope_of(line.new.kind) for line in lines],
        "subject_hmac": [line.subject_hmac for line in lines],
        "sequence": sequences,
        "changed": sequences,
    }
    insert_all(session, Erasure, columns, active=literal(True))


def _remember_callbacks(session: Session, lines: Sequence[_Line]) -> None:
    wanted = [(line.request_id, url) for line in lines for url in sorted(set(line.new.callback_urls))]
    if wanted:
        request_ids, urls = zip(*wanted, strict=True)
        insert_all(session, CallbackUrl, {"request_id": request_ids, "url": urls})


def _asked(line: _Line) -> tuple[str, str | None, dict[str, Any] | None]:
    return line.new.kind, line.new.subject, line.new.payload
