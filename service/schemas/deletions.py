"""Deletion requests, as they come in and as they are answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from ledger.deletions import Kind
from ledger.destinations import LONGEST_URL
from ledger.recording import NewRequest
from ledger.requests import ModelView, RequestView
from service.schemas.certificates import CertificateDocument
from service.schemas.identifiers import Identifier

Reason = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]
CallbackUrl = Annotated[str, StringConstraints(max_length=LONGEST_URL, pattern=r"^[\x21-\x7e]+$")]
State = Literal["pending", "in_progress", "failed", "unlearned", "completed", "cancelled"]

PAIRS_LIMIT = 10_000
_EXAMPLE_ID = "6f1c8f1e-8a0c-4f0e-9d51-0f5b6f3a2c11"
_MOMENT = "2026-01-01T12:00:00Z"


def _absent(schema: JsonDict) -> None:
    """Tell callers of no default: a field that is left out is not there."""
    del schema["default"]


class Pair(BaseModel):
    """One interaction: a user met an item."""

    model_config = ConfigDict(extra="forbid")

    user: Identifier
    item: Identifier


class NewDeletion(BaseModel):
    """What is to be forgotten: exactly one of a subject, some interactions of one user, and an item."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [{"required": [kind]} for kind in ("subject", "interactions", "item")],
            "examples": [
                {"subject": "42", "reason": "GDPR art. 17", "request_id": _EXAMPLE_ID},
                {"interactions": [{"user": "42", "item": "7"}, {"user": "42", "item": "9"}]},
                {"item": "7"},
            ],
        },
    )

    subject: Identifier = Field(default="", description="A user, with everything.", json_schema_extra=_absent)
    interactions: list[Pair] = Field(
        default=[],
        min_length=1,
        max_length=PAIRS_LIMIT,
        description="Some interactions of one user.",
        json_schema_extra=_absent,
    )
    item: Identifier = Field(default="", description="An item, with everything.", json_schema_extra=_absent)
    reason: Reason | None = Field(default=None, description="Why. It is kept: write no identity into it.")
    callback_url: CallbackUrl | None = Field(
        default=None,
        description="Where to tell of every change of state (Standard Webhooks). Write no identity into it.",
    )
    request_id: UUID | None = Field(default=None, description="The caller's idempotency key.")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if len(self.model_fields_set & {"subject", "interactions", "item"}) != 1:
            raise PydanticCustomError("several_kinds", "exactly one of subject, interactions and item")
        if len({pair.user for pair in self.interactions}) > 1:
            raise PydanticCustomError("several_users", "interactions of one user")
        return self

    @property
    def kind(self) -> Kind:
        """Which of the three it is."""
        return "subject" if self.subject else "item" if self.item else "interactions"

    def for_ledger(self, tenant: str, key: str | None, due_days: int) -> NewRequest:
        """The same, as the ledger records it."""
        return NewRequest(
            tenant=tenant,
            kind=self.kind,
            user=self.subject or (self.interactions[0].user if self.interactions else None),
            items=tuple(pair.item for pair in self.interactions),
            item=self.item or None,
            key=key,
            reason=self.reason,
            due_days=due_days,
            callback_urls=() if self.callback_url is None else (self.callback_url,),
        )


class ModelProgress(BaseModel):
    """How far one model is with a request."""

    model: str
    state: Literal["pending", "leased", "published"]
    run_id: UUID | None = Field(description="The run that works on it, or did.")
    snapshot: str | None = Field(description="Digest of the first generation without the data.")
    residual: float | None = Field(description="Relative gradient norm of that generation.")
    certificate: CertificateDocument | None = Field(description="What is proven of that generation; null until made.")
    uncertified: str | None = Field(description="Why nothing is proven of it.")

    @classmethod
    def of(cls, view: ModelView) -> Self:
        """The same, as the ledger sees it."""
        return cls.model_validate(view, from_attributes=True)

    @classmethod
    def untouched(cls, view: ModelView) -> Self:
        """What it was when the request was recorded."""
        return cls(
            model=view.model,
            state="pending",
            run_id=None,
            snapshot=None,
            residual=None,
            certificate=None,
            uncertified=None,
        )


class Links(BaseModel):
    """Where to ask further."""

    self: str
    receipt: str


class DeletionStatus(BaseModel):
    """A deletion request and its four clocks: recorded, suppressed, unlearned, completed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _EXAMPLE_ID,
                    "kind": "subject",
                    "state": "pending",
                    "recorded_at": _MOMENT,
                    "suppressed_at": None,
                    "unlearned_at": None,
                    "completed_at": None,
                    "cancelled_at": None,
                    "due_at": "2026-01-31T12:00:00Z",
                    "overdue": False,
                    "attempts": 0,
                    "failure": None,
                    "models": [
                        {
                            "model": "main",
                            "state": "pending",
                            "run_id": None,
                            "snapshot": None,
                            "residual": None,
                            "certificate": None,
                            "uncertified": None,
                        }
                    ],
                    "links": {
                        "self": f"/v1/deletion-requests/{_EXAMPLE_ID}",
                        "receipt": f"/v1/deletion-requests/{_EXAMPLE_ID}/receipt",
                    },
                }
            ]
        }
    )

    id: UUID
    kind: Literal["subject", "interactions", "item"]
    state: State
    recorded_at: datetime = Field(description="It is in the ledger and cannot be lost.")
    suppressed_at: datetime | None = Field(description="No replica knows the subject any more.")
    unlearned_at: datetime | None = Field(description="Every model has a generation without the data.")
    completed_at: datetime | None = Field(description="Every replica serves it; older generations are destroyed.")
    cancelled_at: datetime | None
    due_at: datetime
    overdue: bool
    attempts: int = Field(description="How many runs have taken it up, over all models.")
    failure: str | None = Field(description="Why the last run failed.")
    models: list[ModelProgress]
    links: Links

    @classmethod
    def of(cls, view: RequestView) -> Self:
        """The request as it is now."""
        models = [ModelProgress.of(model) for model in view.models]
        return cls(**_shared(view), models=models, links=_links(view.id))

    @classmethod
    def as_recorded(cls, view: RequestView) -> Self:
        """The request as it was when it was recorded: what the first answer said and every replay repeats."""
        first = _shared(view) | {
            "suppressed_at": None,
            "completed_at": None,
            "cancelled_at": None,
            "overdue": False,
            "attempts": 0,
            "failure": None,
        }
        if view.models:
            first |= {"state": "pending", "unlearned_at": None}
        else:
            first |= {"state": "unlearned"}
        models = [ModelProgress.untouched(model) for model in view.models]
        return cls(**first, models=models, links=_links(view.id))


class DeletionPage(BaseModel):
    """Deletion requests, newest first."""

    requests: list[DeletionStatus]
    next: str | None = Field(description="Cursor of the page that follows; null on the last.")


def _shared(view: RequestView) -> dict[str, Any]:
    fields = DeletionStatus.model_fields.keys() - {"models", "links"}
    return {name: getattr(view, name) for name in fields}


def link_to(request_id: UUID) -> str:
    """Where a request is followed."""
    return f"/v1/deletion-requests/{request_id}"


def _links(request_id: UUID) -> Links:
    path = link_to(request_id)
    return Links(self=path, receipt=f"{path}/receipt")
