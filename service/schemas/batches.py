"""Batches of deletion requests, as they come in and as they are answered."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ledger.recording import NewRequest, Recorded
from service.errors import KeysDiffer
from service.schemas.deletions import NewDeletion, link_to
from service.schemas.keys import Key, agreed

LINES_LIMIT = 10_000
_EXAMPLE_ID = "6f1c8f1e-8a0c-4f0e-9d51-0f5b6f3a2c11"


class BatchLine(NewDeletion):
    """One deletion request of a batch, with a key of its own."""

    idempotency_key: Key | None = Field(default=None, description="What the header is to a single request.")

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        try:
            agreed(self.idempotency_key, self.request_id)
        except KeysDiffer as error:
            raise PydanticCustomError("keys_differ", "one idempotency key") from error
        return self

    def recorded_as(self, tenant: str, due_days: int) -> NewRequest:
        """The same, as the ledger records it."""
        return self.for_ledger(tenant, agreed(self.idempotency_key, self.request_id), due_days)


class NewBatch(BaseModel):
    """Deletion requests that are recorded all or none."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"requests": [{"subject": "42", "request_id": _EXAMPLE_ID}, {"subject": "43"}]}],
        },
    )

    requests: list[BatchLine] = Field(min_length=1, max_length=LINES_LIMIT)


class BatchedRequest(BaseModel):
    """What became of one line."""

    id: UUID = Field(description="Of its deletion request.")
    replayed: bool = Field(description="It was recorded before under the same key, or earlier in the batch.")
    status: str = Field(description="Where to follow it.")

    @classmethod
    def of(cls, recorded: Recorded) -> Self:
        """The same, as the ledger says it."""
        return cls(id=recorded.request_id, replayed=recorded.replayed, status=link_to(recorded.request_id))


class BatchAnswer(BaseModel):
    """What became of each line, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "results": [
                        {"id": _EXAMPLE_ID, "replayed": False, "status": f"/v1/deletion-requests/{_EXAMPLE_ID}"},
                    ]
                }
            ],
        },
    )

    results: list[BatchedRequest]
