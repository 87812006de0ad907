"""A request that is the end of every run it is in, and the supervisor that starts its workers again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from tests.faults.site import Asked, Site
from tests.processes import wait_until


def await_isolated(site: Site, way: str, asked: Sequence[Asked], bad: int, *, within_s: float) -> None:
    """Wait until all requests but one are completed, which fails or kills every run; then mend its cause.

    No worker runs meanwhile but the poisoned one; afterwards there is one again.
    """
    others = [*asked[:bad], *asked[bad + 1 :]]
    with _supervised(site, [sys.executable, "-m", "tests.faults.poisoned", way, asked[bad].subject]):
        site.await_completed(others, within_s=within_s)
        if site.states_of([asked[bad]]) == ["completed"]:
            raise AssertionError("the request that should fail every run was completed")
    site.start_worker()

    def is_completed() -> bool:
        """Its pauses are long by now: it is not let rest, not after the run either that died with the supervisor."""
        site.sql("UPDATE deletion_requests SET next_attempt_at = now() WHERE next_attempt_at > now()")
        return site.states_of([asked[bad]]) == ["completed"]

    wait_until(is_completed, within_s=within_s)


@contextmanager
def _supervised(site: Site, command: list[str]) -> Iterator[None]:
    """Keep a worker running while the block runs: whenever it ends, it is started again."""
    ending = Event()

    def supervise() -> None:
        with (site.logs / "poisoned.log").open("ab") as log:
            while not ending.is_set():
                with subprocess.Popen(command, env=site.environment, stdout=log, stderr=log) as process:
                    while process.poll() is None and not ending.wait(0.05):
                        pass
                    process.kill()

    supervisor = Thread(target=supervise)
    supervisor.start()
    try:
        yield
    finally:
        ending.set()
        supervisor.join()
