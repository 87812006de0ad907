"""One small deletion that the benchmark's tests share."""

from __future__ import annotations

from functools import cache

from alteraser.deletions import Deletions
from benchmarks.case import Case
from benchmarks.truth import Truth
from tests.unit.alteraser.small_model import small_data, small_snapshot

SEEDS = (1, 2)


@cache
def small_case() -> Case:
    data = small_data()
    return Case.of(small_snapshot(data), Deletions(subjects=frozenset([data.users.ids[3]])), None)


@cache
def small_truth() -> Truth:
    return Truth.of(small_case(), SEEDS)
