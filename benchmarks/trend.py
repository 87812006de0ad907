"""Whether something grows: a slope that outliers do not move, with its confidence interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.stats import theilslopes

CONFIDENCE = 0.95

LEAST_POINTS = 8
"""Fewer say nothing of a trend."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How a positive quantity changes along a sequence.

    Attributes:
        points: How many values the slope is from.
        slope: Of the decimal logarithm, per step: the median slope of all pairs of points (Theil, 1950; Sen, "Estimates
            of the regression coefficient based on Kendall's tau", JASA 1968).
        low: Lower end of the slope's confidence interval; Sen's, which takes the points for independent.
        high: Upper end.
        factor: What the quantity is multiplied by from the first point to the last, at the slope.
        factor_low: The same at the lower end.
        factor_high: The same at the upper end.
    """

    points: int
    slope: float
    low: float
    high: float
    factor: float
    factor_low: float
    factor_high: float

    @property
    def grows(self) -> bool:
        """Whether the whole interval lies above zero."""
        return self.low > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the trend as JSON-able data."""
        return {**asdict(self), "confidence": CONFIDENCE, "grows": self.grows}


def trend(at: Sequence[float], values: Sequence[float | None]) -> Trend | None:
    """Return the trend of values along a sequence; None where fewer than `LEAST_POINTS` of them are known and positive.

    Args:
        at: Where on the sequence each value stands.
        values: The values; those that are None or not positive are left out.
    """
    known = [(place, value) for place, value in zip(at, values, strict=True) if value is not None and value > 0]
    if len(known) < LEAST_POINTS:
        return None
    places, positive = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))
    slope, _, low, high = theilslopes(np.log10(positive), places, alpha=CONFIDENCE)
    span = places[-1] - places[0]
    factor, factor_low, factor_high = (float(10.0 ** (each * span)) for each in (slope, low, high))
    return Trend(len(known), float(slope), float(low), float(high), factor, factor_low, factor_high)
