"""A fault: what is done to a deployment while people are to be forgotten."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tests.faults.site import Asked, Site

Strike: TypeAlias = Callable[[Site, np.random.Generator], Sequence[Asked]]
"""Does it, brings the processes back as a supervisor would, and returns what was answered 201 meanwhile."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the table.

    Attributes:
        name: What it is called.
        strike: How it is done.
        is_quick: Whether `make test` has time for it.
        n_people: How many there must be left to ask; 0 where any deployment has enough.
    """

    name: str
    strike: Strike
    is_quick: bool = False
    n_people: int = 0
