"""Whether the process lives and is ready."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Readiness(BaseModel):
    """Whether the process is ready, and each thing that was checked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "ready": True,
                    "checks": {
                        "database": True,
                        "ledger_followed": True,
                        "snapshots_loaded": True,
                        "watermarks_satisfied": True,
                        "journal_compared": True,
                        "journal_intact": True,
                        "not_stopping": True,
                    },
                    "reasons": [],
                }
            ]
        }
    )

    ready: bool
    checks: dict[str, bool]
    reasons: list[str] = Field(default=[], description="Why published snapshots are not served.")
