"""The status document, now and as it was first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ledger.requests import ModelView, RequestView
from service.schemas.deletions import DeletionStatus

START = datetime(2026, 1, 1, tzinfo=UTC)
PROVEN = {
    "rank": 4,
    "sigma": 1.0,
    "sigma_by": "cholesky",
    "gap": 1e-9,
    "objective": 100.0,
    "distance": 1e-4,
    "rmse": 1e-6,
    "rms": 0.1,
    "rmse_ratio": 1e-5,
    "influence_bound": None,
    "seconds": 0.1,
}
RECORDED = RequestView(
    id=UUID(int=1),
    tenant="acme",
    kind="subject",
    state="pending",
    sequence=1,
    subject_hmac="0" * 64,
    reason=None,
    recorded_at=START,
    suppressed_at=None,
    unlearned_at=None,
    completed_at=None,
    cancelled_at=None,
    due_at=START + timedelta(days=30),
    overdue=False,
    attempts=0,
    next_attempt_at=None,
    failure=None,
    models=(ModelView("main", "pending", None, None, None, None, None),),
)
LATER = [
    replace(RECORDED, suppressed_at=START),
    replace(RECORDED, state="failed", failure="it did not converge", attempts=3, overdue=True),
    replace(RECORDED, state="cancelled", cancelled_at=START),
    replace(
        RECORDED,
        state="completed",
        suppressed_at=START,
        unlearned_at=START,
        completed_at=START,
        models=(ModelView("main", "published", UUID(int=2), "d" * 64, 1e-6, PROVEN, None),),
    ),
]


def test_the_first_answer_is_the_same_whatever_happened_since() -> None:
    first = DeletionStatus.of(RECORDED)
    assert DeletionStatus.as_recorded(RECORDED) == first
    for view in LATER:
        assert DeletionStatus.as_recorded(view) == first


def test_the_answer_now_says_what_happened_since() -> None:
    completed = DeletionStatus.of(LATER[-1])
    assert completed.state == "completed"
    assert completed.models[0].snapshot == "d" * 64
    assert completed.models[0].certificate is not None
    assert completed.models[0].certificate.model_dump() == PROVEN
    assert DeletionStatus.of(LATER[1]).failure == "it did not converge"


def test_without_a_model_the_first_answer_says_unlearned() -> None:
    alone = replace(RECORDED, models=(), state="unlearned", unlearned_at=START)
    done = replace(alone, state="completed", suppressed_at=START, completed_at=START)
    assert DeletionStatus.as_recorded(done) == DeletionStatus.as_recorded(alone) == DeletionStatus.of(alone)


def test_no_identity_and_no_pseudonym_is_told() -> None:
    told = DeletionStatus.of(RECORDED).model_dump_json()
    assert RECORDED.subject_hmac not in told
    assert RECORDED.tenant not in told
