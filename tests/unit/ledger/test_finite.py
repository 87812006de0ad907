"""What is stored as JSON holds finite numbers only."""

from __future__ import annotations

import json
import math

from ledger.finite import finite


def test_what_is_not_finite_becomes_null_at_any_depth() -> None:
    document = {"a": math.inf, "b": {"c": -math.inf, "d": [1.5, math.nan, "inf"]}, "e": True, "f": ({"g": math.inf},)}
    found = finite(document)
    assert found == {"a": None, "b": {"c": None, "d": [1.5, None, "inf"]}, "e": True, "f": [{"g": None}]}
    json.dumps(found, allow_nan=False)
