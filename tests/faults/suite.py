"""All faults, struck one after the other on one deployment, and what came of each."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from tests.faults.crashes import crashes
from tests.faults.fault import Fault
from tests.faults.judgement import Judgement, judge
from tests.faults.site import CROWD, N_PEOPLE, Site, site
from tests.faults.worse import worse

FEWEST_PEOPLE = 80
"""Fewer than that are not enough for every fault struck once more."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one fault did, over all the times it was struck.

    Attributes:
        fault: Its name.
        times: How often it was struck.
        n_in: Requests answered 201 meanwhile.
        n_completed: Those completed.
        n_resurrected: Places where somebody forgotten was found.
        broken: What else went wrong, in words; empty where every promise was kept.
        seconds: How long it all took.
    """

    fault: str
    times: int
    n_in: int
    n_completed: int
    n_resurrected: int
    broken: tuple[str, ...]
    seconds: float

    @property
    def is_kept(self) -> bool:
        """Whether every promise was kept."""
        return self.n_in == self.n_completed and not self.n_resurrected and not self.broken


def chosen(only: Sequence[str] | None = None) -> list[Fault]:
    """Every fault there is, or those whose name contains one of the words."""
    every = [*crashes(), *worse(in_full=True)]
    return [fault for fault in every if only is None or any(word in fault.name for word in only)]


def quick() -> list[Fault]:
    """The faults `make test` has time for."""
    return [fault for fault in (*crashes(), *worse(in_full=False)) if fault.is_quick]


def strike_all(faults: Sequence[Fault], *, seed: int, times: int) -> Iterator[Row]:
    """Strike each fault so many times.

    They share a deployment until one breaks a promise or few people are left in it; then a new one is made.
    """
    random = np.random.default_rng(seed)
    with ExitStack() as held:
        where_to: Site | None = None
        for fault in faults:
            if where_to is None or where_to.n_people_left < fault.n_people:
                held.close()
                n_people = CROWD if fault.n_people > N_PEOPLE else N_PEOPLE
                where_to = held.enter_context(site(int(random.integers(1 << 31)), n_people))
            row = strike(where_to, fault, random, times)
            if not row.is_kept or where_to.n_people_left < FEWEST_PEOPLE:
                held.close()
                where_to = None
            yield row


def strike(where: Site, fault: Fault, random: np.random.Generator, times: int) -> Row:
    """Strike one fault so many times, while there are people enough for it, and judge it every time."""
    started = time.monotonic()
    judgements: list[Judgement] = []
    for _ in range(times):
        judgements.append(_struck(where, fault, random))
        if not judgements[-1].is_kept or where.n_people_left < fault.n_people:
            break
    return Row(
        fault=fault.name,
        times=len(judgements),
        n_in=sum(each.n_in for each in judgements),
        n_completed=sum(each.n_completed for each in judgements),
        n_resurrected=sum(len(each.resurrected) for each in judgements),
        broken=tuple(said for each in judgements for said in (*each.broken, *sorted(set(each.resurrected)))),
        seconds=time.monotonic() - started,
    )


def _struck(where: Site, fault: Fault, random: np.random.Generator) -> Judgement:
    """One strike; a fault that could not even be struck is a broken promise too."""
    try:
        where.as_usual()
        asked = fault.strike(where, random)
        return judge(where, asked)
    except Exception:  # noqa: BLE001 - whatever went wrong is a row of the table
        return Judgement(0, 0, broken=[traceback.format_exc()])
