"""Hyper-parameters from what somebody typed: complete, of the right types, in range; a kind's are one dataclass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, TypeVar

from alteraser.errors import InvalidHyperparameter, UnknownHyperparameter

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def completed(kind: type[T], given: Mapping[str, object], constants: Mapping[str, int]) -> dict[str, int | float]:
    """Return all of a kind's hyper-parameters as they go into a manifest.

    Args:
        kind: The dataclass of int and float fields with defaults; it checks its own ranges.
        given: What differs from the defaults, as numbers or as text.
        constants: What is fixed at training.

    Raises:
        UnknownHyperparameter: A given name is no field.
        InvalidHyperparameter: A given value is no number of its field's type, or out of range.
    """
    types = {field.name: int if field.type in ("int", int) else float for field in fields(kind)}
    values: dict[str, int | float] = dict(constants)
    for name, value in given.items():
        if name not in types:
            raise UnknownHyperparameter(name)
        try:
            values[name] = types[name](str(value))
        except ValueError:
            raise InvalidHyperparameter(name, f"must be {types[name].__name__}") from None
    return asdict(typed(kind, values))


def typed(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return a manifest's hyper-parameters as the dataclass they are."""
    return kind(**values)


def check_positive(values: object, names: Iterable[str]) -> None:
    """Refuse attributes that are not finite numbers above 0.

    Raises:
        InvalidHyperparameter: One is not.
    """
    for name in names:
        if not 0 < getattr(values, name) < math.inf:
            raise InvalidHyperparameter(name, "must be a finite number above 0")
