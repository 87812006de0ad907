"""Recording: what is asked to be forgotten gets its rows, once per key, one request or ten thousand at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

from sqlalchemy import func, insert, literal, select
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
class RequestRow:
    """What the ledger is to hold of one request.

    Attributes:
        request_id: Its id.
        tenant: Whose it is.
        kind: As in `NewRequest`.
        subject: The user or the item it is about; None where nothing is stored under any id with that pseudonym.
        payload: What of the user it is about, where that is not all.
        subject_hmac: The subject's pseudonym.
        key_digest: Keyed digest of its idempotency key; None where it has none.
        payload_digest: Keyed digest of all that was asked.
        sequence: Its place in the order of commits, from a tick of this transaction.
        recorded_at: When it was asked for.
        due_at: When it is overdue.
        erased_at: The subject's data that is not younger is refused from now on; None until it is erased.
        reason: Why, in the caller's words.
        callback_urls: Where to tell of every change of its state.
        traceparent: The trace of the call that asked, where one is kept.
    """

    request_id: UUID
    tenant: str
    kind: str
    subject: str | None
    payload: dict[str, Any] | None
    subject_hmac: str
    key_digest: str | None
    payload_digest: str
    sequence: int
    recorded_at: datetime
    due_at: datetime
    erased_at: datetime | None = None
    reason: str | None = None
    callback_urls: tuple[str, ...] = ()
    traceparent: str | None = None

    @property
    def scoped(self) -> tuple[str, str]:
        """The scope and the pseudonym of whom or what it is about."""
        return scope_of(self.kind), self.subject_hmac


@dataclass(frozen=True, slots=True)
class Earlier:
    """A request that was recorded before under some key."""

    request_id: UUID
    payload_digest: str


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
    keys = [line.tenant_key for line in lines if line.tenant_key is not None]
    known: dict[TenantKey, _Line | Earlier] = {**earlier(session, keys)}
    stored = interactions.held(session, combined((each.kind, each.subject, each.payload) for each in news))
    faults: dict[int, LedgerError] = {}
    firsts: list[_Line | Earlier] = []
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


def earlier(session: Session, keys: Sequence[TenantKey]) -> dict[TenantKey, Earlier]:
    """The requests that were recorded before under these keys."""
    found = session.execute(
        select(
            DeletionRequest.tenant, DeletionRequest.key_digest, DeletionRequest.id, DeletionRequest.payload_digest
        ).where(
            among(DeletionRequest.tenant, sorted({tenant for tenant, _ in keys})),
            among(DeletionRequest.key_digest, [key for _, key in keys]),
        )
    )
    return {(tenant, key or ""): Earlier(request_id, payload) for tenant, key, request_id, payload in found}


def insert_requests(session: Session, rows: Sequence[RequestRow], event: str) -> None:
    """Insert requests, suppress their subjects, and ask every model; where there is none, they are done.

    However many requests they are, it takes as many statements.

    Args:
        session: The transaction.
        rows: The requests, in the order in which the log is to name them.
        event: What the log says happened to each.
    """
    request_ids = [row.request_id for row in rows]
    _insert_rows(session, rows, request_ids)
    _suppress(session, rows, request_ids)
    _remember_callbacks(session, rows)
    aliases = salts.aliases(session, [row.scoped for row in rows])
    for row in rows:
        named = {"kind": row.kind, "subject": aliases[row.scoped], "sequence": row.sequence}
        enter(session, event, request=row.request_id, **named)
    if not _ask_models(session, request_ids):
        interactions.delete_rows(session, combined((row.kind, row.subject, row.payload) for row in rows))
        settle(session, request_ids)


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

    def row(self, now: datetime, traceparent: str | None) -> RequestRow:
        """What is held of it when it is recorded now."""
        return RequestRow(
            request_id=self.request_id,
            tenant=self.new.tenant,
            kind=self.new.kind,
            subject=self.new.subject,
            payload=self.new.payload,
            subject_hmac=self.subject_hmac,
            key_digest=self.key_digest,
            payload_digest=self.payload_digest,
            sequence=self.sequence,
            recorded_at=now,
            due_at=now + timedelta(days=self.new.due_days),
            reason=self.new.reason,
            callback_urls=self.new.callback_urls,
            traceparent=traceparent,
        )

    def is_about(self, stored: Deletions) -> bool:
        """Whether something of it is stored."""
        user = self.new.user or ""
        if self.new.kind == "item":
            return self.new.item in stored.items
        return user in stored.subjects if self.new.kind == "subject" else self._has_pair(user, stored)

    def _has_pair(self, user: str, stored: Deletions) -> bool:
        return any((user, item) in stored.pairs for item in self.new.items)


def _insert(session: Session, lines: Sequence[_Line]) -> None:
    """Record the lines as asked for now, in the trace of this call."""
    if lines:
        now = session.execute(select(func.clock_timestamp())).scalar_one()
        traceparent = tracing.traceparent()
        insert_requests(session, [line.row(now, traceparent) for line in lines], "request_recorded")


def _insert_rows(session: Session, rows: Sequence[RequestRow], request_ids: Sequence[UUID]) -> None:
    columns = {
        "id": request_ids,
        "tenant": [row.tenant for row in rows],
        "key_digest": [row.key_digest for row in rows],
        "payload_digest": [row.payload_digest for row in rows],
        "kind": [row.kind for row in rows],
        "subject": [row.subject for row in rows],
        "payload": [row.payload for row in rows],
        "subject_hmac": [row.subject_hmac for row in rows],
        "sequence": [row.sequence for row in rows],
        "reason": [row.reason for row in rows],
        "recorded_at": [row.recorded_at for row in rows],
        "due_at": [row.due_at for row in rows],
        "traceparent": [row.traceparent for row in rows],
    }
    insert_all(session, DeletionRequest, columns, state=literal("pending"))


def _suppress(session: Session, rows: Sequence[RequestRow], request_ids: Sequence[UUID]) -> None:
    """Suppress the subject of each request from its sequence on."""
    sequences = [row.sequence for row in rows]
    columns = {
        "request_id": request_ids,
        "scope": [scope_of(row.kind) for row in rows],
        "subject_hmac": [row.subject_hmac for row in rows],
        "sequence": sequences,
        "changed": sequences,
        "erased_at": [row.erased_at for row in rows],
    }
    insert_all(session, Erasure, columns, active=literal(True))


def _remember_callbacks(session: Session, rows: Sequence[RequestRow]) -> None:
    wanted = [(row.request_id, url) for row in rows for url in sorted(set(row.callback_urls))]
    if wanted:
        request_ids, urls = zip(*wanted, strict=True)
        insert_all(session, CallbackUrl, {"request_id": request_ids, "url": urls})


def _ask_models(session: Session, request_ids: Sequence[UUID]) -> bool:
    """Ask every declared model for each of the requests; whether there is a model."""
    asked = select(DeletionRequest.id, Model.name, literal("pending")).where(among(DeletionRequest.id, request_ids))
    put = insert(RequestModel).from_select(["request_id", "model", "state"], asked.join(Model, literal(True)))
    inserted = session.execute(put, execution_options={"preserve_rowcount": True})
    return bool(inserted.rowcount)  # type: ignore[attr-defined]
