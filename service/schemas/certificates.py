"""What is proven of a published generation's scores."""

from __future__ import annotations

from pydantic import BaseModel, Field


class CertificateDocument(BaseModel):
    """Bounds on how far a generation's scores are from those of any full retraining on the kept data."""

    rank: int = Field(description="Dimensions the model uses.")
    sigma: float = Field(description="At most 1 at a global optimum; above it the model has too few dimensions.")
    sigma_by: str = Field(description="How `sigma` was bounded.")
    gap: float = Field(description="Proven duality gap, in units of the objective.")
    objective: float = Field(description="Value of the objective whose minimum every full retraining shares.")
    distance: float = Field(description="Proven bound on the Euclidean distance of all scores to a full retraining's.")
    rmse: float = Field(description="The same as a root mean square over all pairs of user and item.")
    rms: float = Field(description="Root mean square of the scores.")
    rmse_ratio: float | None = Field(description="`rmse` over `rms`; null where all scores are 0.")
    influence_bound: float | None = Field(
        description="Proven share of the deleted data's effect on the scores that is left; null where not bounded."
    )
    seconds: float = Field(description="How long it took to prove.")
