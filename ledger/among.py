"""The condition that a column is one of many values, sent as one array however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import InstrumentedAttribute


def among(column: InstrumentedAttribute[Any], values: Sequence[Any]) -> ColumnElement[bool]:
    """`column = ANY(values)`: one bound value, where IN would bind one each and stop at 65,535."""
    return column == any_(literal(list(values), ARRAY(column.type)))
