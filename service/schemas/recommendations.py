"""What is recommended."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RecommendedItem(BaseModel):
    """An item and its score: the model's, or the share of users who met it."""

    item: str
    score: float


class Recommendations(BaseModel):
    """The best items, best first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [{"item": "50", "score": 0.618}, {"item": "181", "score": 0.538}]}]}
    )

    items: list[RecommendedItem]
