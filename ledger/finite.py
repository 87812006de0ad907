"""Numbers that JSON can spell: it has no word for what is infinite or not a number, and PostgreSQL refuses it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def finite(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with null wherever it holds a float that is not finite."""
    return {name: _finite(value) for name, value in document.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return finite(value)
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
