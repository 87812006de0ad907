"""A process killed with SIGKILL at every point that a deletion passes, and started again."""

from __future__ import annotations

import signal
from collections.abc import Sequence

import numpy as np

from alteraser.crash import POINTS
from ledger import receipts
from tests.faults.fault import Fault, Strike
from tests.faults.site import LEASE_S, PATIENCE_S, Asked, Site, pause
from tests.processes import wait_until
from tests.receiver import Receiver, receiver

OF_A_REPLICA = {
    "record.inside": 1,
    "record.committed": 1,
    "ring.before": 1,
    "swap.loaded": 2,
    "acknowledge.before": 2,
    "acknowledge.committed": 2,
}
"""The points that a replica passes, and the pass that belongs to the deletion: it swaps once when it starts."""

PASSES = {"unlearn.step": 4, "write.file": 5}
"""Points that a worker passes several times in one run: any of so many may be the last."""

QUICK = {
    "record.committed",
    "unlearn.step",
    "write.file",
    "publish.inside",
    "swap.loaded",
    "destroy.renamed",
    "callback.sent",
}


def crashes() -> list[Fault]:
    """One for every point there is."""
    return [Fault(f"killed at {point}", _strike(point), point in QUICK) for point in POINTS]


def _strike(point: str) -> Strike:
    if point == "discard.before":
        return _kill_while_discarding
    if point == "expire.committed":
        return _kill_while_expiring
    if point.startswith("callback."):
        return lambda site, _: _kill_while_calling_back(site, point)
    if point in OF_A_REPLICA:
        return lambda site, _: _kill_replica(site, f"{point}:{OF_A_REPLICA[point]}")
    return lambda site, random: _kill_worker(site, f"{point}:{random.integers(1, PASSES.get(point, 1) + 1)}")


def _kill_worker(site: Site, crash_at: str) -> Sequence[Asked]:
    """Let a worker die at the point, and a successor go on."""
    site.kill("worker")
    site.start_worker("doomed", crash_at=crash_at)
    asked = site.ask_some(2)
    site.await_death("doomed")
    site.start_worker()
    return asked


def _kill_replica(site: Site, crash_at: str) -> Sequence[Asked]:
    """Let the replica die at the point; the caller asks again until it is answered."""
    site.kill("web")
    site.start_web(crash_at=crash_at)
    subject, key = site.someone(), f"key of {crash_at} {len(site.asked)}".replace(" ", "-")
    answer = site.post(subject, key)
    site.await_death("web")
    site.start_web()
    asked = site.ask(subject, key)
    if answer is not None and answer.is_success and answer.json()["id"] != asked.request_id:
        raise AssertionError("what was answered before the crash is another request after it")
    return [asked, *site.ask_some(1)]


def _kill_while_discarding(site: Site, _: np.random.Generator) -> Sequence[Asked]:
    """Stop a worker before it publishes; overtaken, it dies while it removes what it wrote."""
    site.kill("worker")
    site.start_worker("doomed", crash_at="publish.before:1:stop,discard.before")
    asked = site.ask_some(1)
    site.await_stop("doomed")
    pause(LEASE_S)
    site.start_worker()
    site.await_completed(asked)
    site.send("doomed", signal.SIGCONT)
    site.await_death("doomed")
    return [*asked, *site.ask_some(1)]


def _kill_while_expiring(site: Site, _: np.random.Generator) -> Sequence[Asked]:
    """Kill a worker in its run, and its successor when it has ended that run."""
    site.kill("worker")
    site.start_worker("doomed", crash_at="unlearn.step")
    asked = site.ask_some(2)
    site.await_death("doomed")
    site.start_worker("doomed too", crash_at="expire.committed")
    site.await_death("doomed too")
    site.start_worker()
    return asked


def _kill_while_calling_back(site: Site, point: str) -> Sequence[Asked]:
    """Kill a worker while it tells somebody; whoever asked to be told hears of every change at least once."""
    with receiver() as listener:
        site.kill("worker")
        site.start_worker("doomed", crash_at=point)
        asked = [site.ask(site.someone(), callback_url=listener.url) for _ in range(2)]
        site.await_death("doomed")
        site.start_worker()
        site.await_completed(asked)
        wait_until(lambda: all(_is_told(listener, each) for each in asked), within_s=PATIENCE_S)
        keys = receipts.jwks(site.secrets)
        if not all(heard.is_signed_by(keys) and not site.people_in(heard.body) for heard in listener.heard):
            raise AssertionError("a callback was not signed, or named somebody")
    return asked


def _is_told(listener: Receiver, asked: Asked) -> bool:
    return {"in_progress", "unlearned", "completed"} <= set(listener.states(asked.request_id))
