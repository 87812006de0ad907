"""The models there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from ledger.overview import Served
from service.schemas.certificates import CertificateDocument


class Generation(BaseModel):
    """The snapshot that is served of a model."""

    snapshot: str = Field(description="Digest of its content.")
    users: int
    items: int
    interactions: int
    residual: float = Field(description="Relative gradient norm on those interactions.")
    published_at: datetime
    certificate: CertificateDocument | None = Field(description="What is proven of its scores; null until made.")
    uncertified: str | None = Field(description="Why nothing is proven of them.")


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
                        "certificate": {
                            "rank": 142,
                            "sigma": 1.0,
                            "sigma_by": "cholesky",
                            "gap": 2.1e-7,
                            "objective": 96432.5,
                            "distance": 1e-3,
                            "rmse": 4.1e-7,
                            "rms": 0.106,
                            "rmse_ratio": 3.9e-6,
                            "influence_bound": 1.2e-3,
                            "seconds": 1.4,
                        },
                        "uncertified": None,
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
    snapshot, run = served.snapshot, served.run
    if snapshot is None or run is None:
        return None
    return Generation(
        snapshot=snapshot.digest,
        users=snapshot.n_users,
        items=snapshot.n_items,
        interactions=snapshot.n_interactions,
        residual=snapshot.residual,
        published_at=snapshot.published_at,
        certificate=None if run.certificate is None else CertificateDocument.model_validate(run.certificate),
        uncertified=run.uncertified,
    )
