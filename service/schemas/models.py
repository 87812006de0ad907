"""The models there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from ledger.overview import Served


class Generation(BaseModel):
    """The snapshot that is served of a model."""

    snapshot: str = Field(description="Digest of its content.")
    users: int
    items: int
    interactions: int
    residual: float = Field(description="Relative gradient norm on those interactions.")
    published_at: datetime


class ModelDocument(BaseModel):
    """A model; `generation` is null until one is published."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "main",
                    "kind": "wmf",
                    "version": 3,
                    "watermark": 17,
                    "hyperparameters": {"d": 64},
                    "created_at": "2026-01-01T12:00:00Z",
                    "generation": {
                        "snapshot": "0" * 64,
                        "users": 943,
                        "items": 1682,
                        "interactions": 100000,
                        "residual": 1e-6,
                        "published_at": "2026-01-01T12:00:01Z",
                    },
                }
            ]
        }
    )

    name: str
    kind: str
    version: int = Field(description="Counts the generations; 0 before the first.")
    watermark: int = Field(description="Sequence of the last deletion request it satisfies.")
    hyperparameters: dict[str, Any]
    created_at: datetime
    generation: Generation | None

    @classmethod
    def of(cls, served: Served) -> Self:
        """The same, as the ledger sees it."""
        return cls(
            name=served.model.name,
            kind=served.model.kind,
            version=served.model.version,
            watermark=served.model.watermark,
            hyperparameters=served.model.hyperparameters,
            created_at=served.model.created_at,
            generation=_generation(served),
        )


class ModelList(BaseModel):
    """Every model, the one declared first in front."""

    models: list[ModelDocument]


def _generation(served: Served) -> Generation | None:
    snapshot = served.snapshot
    if snapshot is None:
        return None
    return Generation(
        snapshot=snapshot.digest,
        users=snapshot.n_users,
        items=snapshot.n_items,
        interactions=snapshot.n_interactions,
        residual=snapshot.residual,
        published_at=snapshot.published_at,
    )
