"""Everybody asks at once: few runs do it all, and no process grows without bound."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tests.faults.fault import Fault, Strike
from tests.faults.poison import await_isolated
from tests.faults.site import PATIENCE_S, Asked, Site

TEN_THOUSAND, FEWER, WITH_POISON, KEPT = 10_000, 500, 2_000, 20
"""Requests of the burst in full, in the tests, and of the one with a poison request; people who stay."""
ALONE = 20
"""One in so many asks in a call of its own, eight at a time; the others come in one batch."""
N_CALLERS = 8
N_OVERDUE = 3
A_HANDFUL = 20
MOST_GROWTH_KIB = 512 << 10
MEASURED = ("web", "worker")


def bursts(*, in_full: bool) -> list[Fault]:
    """Both of them in full; the tests have time for a small one."""
    if not in_full:
        return [Fault("five hundred requests in a burst", _burst(FEWER), is_quick=True)]
    return [
        Fault("ten thousand requests in a burst", _burst(TEN_THOUSAND), n_people=TEN_THOUSAND + KEPT),
        Fault("one poison request among two thousand in a burst", _poisoned, n_people=WITH_POISON + KEPT),
    ]


def _burst(n_requests: int) -> Strike:
    def strike(site: Site, _: np.random.Generator) -> Sequence[Asked]:
        late = _ask_late(site)
        before_kib = {name: _memory_kib(site, name, "VmRSS") for name in MEASURED}
        n_before = _n_runs(site)
        asked = [*late, *_ask_at_once(site, min(n_requests, site.n_people_left - KEPT))]
        site.await_completed(asked, within_s=10 * PATIENCE_S)
        n_runs = _n_runs(site) - n_before
        if n_runs > A_HANDFUL:
            raise AssertionError(f"{len(asked)} requests took {n_runs} runs")
        for name in MEASURED:
            grown_kib = _memory_kib(site, name, "VmHWM") - before_kib[name]
            if grown_kib > MOST_GROWTH_KIB:
                raise AssertionError(f"{name} grew by {grown_kib} KiB")
        return asked

    return strike


def _ask_late(site: Site) -> list[Asked]:
    """Have some requests overdue before the worker gets to them: the metric says so."""
    site.send("worker", signal.SIGSTOP)
    late = site.ask_some(N_OVERDUE)
    ids = [each.request_id for each in late]
    site.sql("UPDATE deletion_requests SET due_at = recorded_at WHERE id = ANY(CAST(:ids AS uuid[]))", ids=ids)
    told = re.search(r"^alteraser_deletion_requests_overdue (\S+)$", site.get("/metrics").text, re.MULTILINE)
    if told is None or float(told[1]) < N_OVERDUE:
        raise AssertionError("overdue requests are not alarmed")
    site.send("worker", signal.SIGCONT)
    return late


def _ask_at_once(site: Site, n_requests: int) -> list[Asked]:
    subjects = [site.someone() for _ in range(n_requests)]
    n_alone = n_requests // ALONE
    with ThreadPoolExecutor(N_CALLERS + 1) as callers:
        batch = callers.submit(site.ask_all, subjects[n_alone:])
        alone = list(callers.map(site.ask, subjects[:n_alone]))
        return [*alone, *batch.result()]


def _poisoned(site: Site, random: np.random.Generator) -> Sequence[Asked]:
    """Let one of many fail every run it is in: the others come through, in about twice log2(n) runs."""
    n_before = _n_runs(site)
    site.kill("worker")
    asked = _ask_at_once(site, WITH_POISON)
    await_isolated(site, "fail", asked, int(random.integers(len(asked))), within_s=10 * PATIENCE_S)
    most = 1 + 2 * math.ceil(math.log2(len(asked)))
    n_runs = _n_runs(site) - n_before
    if n_runs > most + A_HANDFUL:
        raise AssertionError(f"{len(asked)} requests of which one is poison took {n_runs} runs")
    return asked


def _n_runs(site: Site) -> int:
    return int(site.sql("SELECT count(*) AS n FROM runs")[0].n)


def _memory_kib(site: Site, name: str, measure: str) -> int:
    """What a process has of memory (VmRSS), or had at most (VmHWM)."""
    status = Path(f"/proc/{site.pids[name]}/status").read_text()
    return int(status.split(f"{measure}:")[1].split()[0])
