"""A worker that has gone deaf starts itself again.

Celery's consumer can lose the broker in a way it does not notice, as when the connection breaks while it acknowledges
a message: it then waits for good on a socket that is gone, while messages pile up. The rows are the work, so nothing
is lost by starting again; the process keeps its id, and whoever supervises it sees nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from threading import Thread

import redis
import structlog

from ledger.doorbell import BROKER_PATIENCE_S, QUEUE, redis_url
from workers.liveness import Liveness, silence_s
from workers.settings import WorkerSettings

LOOKS = 2
LONGEST_STEP_S = 900.0
"""Seconds at most between two signs of a worker at work; a run, which sends heartbeats, has less."""
AGAIN = (sys.executable, "-m", "workers", "worker", "--was-deaf")

log = structlog.get_logger(__name__)


class Hearing:
    """When the worker last heard a ring, and whether it is at work on one.

    Attributes:
        liveness: Where the worker shows that it gets on.
        broker_url: Where rings wait.
        silence_s: Seconds of not hearing what waits after which the worker counts as deaf.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.broker_url = settings.broker_url
        self.liveness = Liveness(settings.worker_liveness_file)
        self.silence_s = silence_s(settings.worker_sweep_s)
        self._is_at_work = False
        self._heard_at = time.monotonic()

    def begin(self) -> None:
        """A ring was heard."""
        self._is_at_work = True
        self.liveness.beat(LONGEST_STEP_S)

    def end(self) -> None:
        """What it set going is over."""
        self._heard_at = time.monotonic()
        self._is_at_work = False
        self.liveness.beat(self.silence_s)

    def is_deaf(self) -> bool:
        """Whether rings wait that this worker, idle, has not heard for so long."""
        silent_s = time.monotonic() - self._heard_at
        return not self._is_at_work and silent_s > self.silence_s and bool(self._n_waiting())

    def look(self) -> bool:
        """Whether the worker is deaf. One that is idle, and could hear, shows that it gets on."""
        is_deaf = self.is_deaf()
        if not is_deaf and not self._is_at_work and self._n_waiting() is not None:
            self.liveness.beat(self.silence_s)
        return is_deaf

    def watch(self, start_again: Callable[[], object]) -> None:
        """Have a thread look from time to time, and start the worker again when it is deaf."""
        Thread(target=self._watch, args=(start_again,), name="hearing", daemon=True).start()

    def _watch(self, start_again: Callable[[], object]) -> None:
        n_looks = 0
        while n_looks < LOOKS:  # a ring that came this very moment is no sign
            time.sleep(self.silence_s / LOOKS)
            n_looks = n_looks + 1 if self.look() else 0
        log.error("worker_deaf", silent_s=round(time.monotonic() - self._heard_at))
        start_again()

    def _n_waiting(self) -> int | None:
        """How many rings wait; None where the broker is away."""
        client = redis.Redis.from_url(
            redis_url(self.broker_url), socket_connect_timeout=BROKER_PATIENCE_S, socket_timeout=BROKER_PATIENCE_S
        )
        try:
            with closing(client):
                return int(client.llen(QUEUE))
        except (redis.RedisError, OSError):
            return None


def start_again() -> None:
    """Become a new worker in the same process."""
    sys.stdout.flush()
    os.execv(AGAIN[0], AGAIN)  # noqa: S606 - this interpreter, and nothing of anybody else's
