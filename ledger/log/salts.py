"""How a subject appears in the log: an HMAC under a salt of its own, so that the log can forget and still verify.

The salt is drawn at the subject's first request and kept after completion, for an operator may have to answer whether
somebody was erased. Once it is destroyed, the subject's entries belong to nobody, whoever holds the deployment's keys.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, and_, delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from ledger.arrays import unnested
from ledger.errors import SubjectInUse
from ledger.log.entries import enter
from ledger.tables import DeletionRequest, Erasure, Refusal, SubjectSalt

SALT_BYTES = 32
FORGOTTEN = "forgotten"
ENDED = ("completed", "cancelled")


def alias(session: Session, scope: str, subject_hmac: str) -> str:
    """How the log and the receipts call a subject; its salt is drawn where there is none."""
    return aliases(session, [(scope, subject_hmac)])[scope, subject_hmac]


def aliases(session: Session, subjects: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """How the log and the receipts call each (scope, pseudonym); salts are drawn where there are none.

    Whoever names several holds the clock: two that named them in another order would else wait for each other.
    """
    named = list(dict.fromkeys(subjects))
    drawn: dict[str, Sequence[str | bytes]] = {
        "scope": [scope for scope, _ in named],
        "subject_hmac": [subject_hmac for _, subject_hmac in named],
        "salt": [secrets.token_bytes(SALT_BYTES) for _ in named],
    }
    rows = unnested(SubjectSalt, drawn)
    put = upsert(SubjectSalt).from_select([*drawn], select(*(rows.c[name] for name in drawn)))
    keys = [SubjectSalt.scope, SubjectSalt.subject_hmac]
    kept = put.on_conflict_do_update(index_elements=keys, set_={"scope": put.excluded.scope})
    salts = session.execute(  # an update, for nothing else returns the old
        kept.returning(SubjectSalt.scope, SubjectSalt.subject_hmac, SubjectSalt.salt)
    )
    return {(scope, subject_hmac): _called(salt, subject_hmac) for scope, subject_hmac, salt in salts}


def known_alias(session: Session, scope: str, subject_hmac: str) -> str | None:
    """How the log calls a subject, where a salt still says so."""
    if session.scalar(select(SubjectSalt.scope).where(_is(scope, subject_hmac))) is None:
        return None
    return alias(session, scope, subject_hmac)


def destroy(session: Session, scope: str, subject_hmac: str) -> bool:
    """Destroy a subject's salt and what else ties its ended requests to it; whether there was a salt.

    Of its erasures only the time is kept, without a request, so that old data stays refused.

    Raises:
        SubjectInUse: A request about it has not ended.
    """
    item_kinds = (DeletionRequest.kind == "item") if scope == "item" else (DeletionRequest.kind != "item")
    about_it = and_(item_kinds, DeletionRequest.subject_hmac == subject_hmac)
    open_request = select(DeletionRequest.id).where(about_it, DeletionRequest.state.not_in(ENDED))
    if session.scalar(open_request.limit(1)) is not None:
        raise SubjectInUse
    _keep_refusal(session, scope, subject_hmac)
    forgotten = {"subject_hmac": FORGOTTEN, "payload_digest": FORGOTTEN}
    session.execute(update(DeletionRequest).where(about_it).values(forgotten))
    gone = session.execute(delete(SubjectSalt).where(_is(scope, subject_hmac)).returning(SubjectSalt.scope)).all()
    if gone:
        enter(session, "salt_destroyed")
    return bool(gone)


def _keep_refusal(session: Session, scope: str, subject_hmac: str) -> None:
    """Move the subject's erasures to the table that names no request."""
    of_it = and_(Erasure.scope == scope, Erasure.subject_hmac == subject_hmac)
    latest = select(literal(scope), literal(subject_hmac), func.max(Erasure.erased_at)).where(of_it)
    refused = upsert(Refusal).from_select(
        ["scope", "subject_hmac", "erased_at"], latest.having(func.max(Erasure.erased_at).is_not(None))
    )
    later = func.greatest(Refusal.erased_at, refused.excluded.erased_at)
    session.execute(
        refused.on_conflict_do_update(index_elements=[Refusal.scope, Refusal.subject_hmac], set_={"erased_at": later})
    )
    session.execute(delete(Erasure).where(of_it))


def _called(salt: bytes, subject_hmac: str) -> str:
    return hmac.new(salt, subject_hmac.encode(), hashlib.sha256).hexdigest()


def _is(scope: str, subject_hmac: str) -> ColumnElement[bool]:
    return and_(SubjectSalt.scope == scope, SubjectSalt.subject_hmac == subject_hmac)
