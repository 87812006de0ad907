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
from workers.settings import WorkerSettings

SILENCES = 5
"""Sweeps that a listening worker cannot miss in a row while rings wait for it."""
LEAST_SILENCE_S = 5.0
LOOKS = 2
AGAIN = (sys.executable, "-m", "workers", "worker")

log = structlog.get_logger(__name__)


class Hearing:
    """When the worker last heard a ring, and whether it is at work on one.

    Attributes:
        broker_url: Where rings wait.
        silence_s: Seconds of not hearing what waits after which the worker counts as deaf.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self.broker_url = settings.broker_url
        self.silence_s = max(LEAST_SILENCE_S, SILENCES * settings.worker_sweep_s)
        self._is_at_work = False
        self._heard_at = time.monotonic()

    def begin(self) -> None:
        """A ring was heard."""
        self._is_at_work = True

    def end(self) -> None:
        """What it set going is over."""
        self._heard_at = time.monotonic()
        self._is_at_work = False

    def is_deaf(self) -> bool:
        """Whether rings wait that this worker, idle, has not heard for so long."""
        silent_s = time.monotonic() - self._heard_at
        return not self._is_at_work and silent_s > self.silence_s and self._n_waiting() > 0

    def watch(self, start_again: Callable[[], object]) -> None:
        """Have a thread look from time to time, and start the worker again when it is deaf."""
        Thread(target=self._watch, args=(start_again,), name="hearing", daemon=True).start()

    def _watch(self, start_again: Callable[[], object]) -> None:
        n_looks = 0
        while n_looks < LOOKS:  # a ring that came this very moment is no sign
            time.sleep(self.silence_s / LOOKS)
            n_looks = n_looks + 1 if self.is_deaf() else 0
        log.error("worker_deaf", silent_s=round(time.monotonic() - self._heard_at))
        start_again()

    def _n_waiting(self) -> int:
        client = redis.Redis.from_url(
            redis_url(self.broker_url), socket_connect_timeout=BROKER_PATIENCE_S, socket_timeout=BROKER_PATIENCE_S
        )
        try:
            with closing(client):
                return int(client.llen(QUEUE))
        except (redis.RedisError, OSError):
            return 0


def start_again() -> None:
    """Become a new worker in the same process."""
    sys.stdout.flush()
    os.execv(AGAIN[0], AGAIN)  # noqa: S606 - this interpreter, and nothing of anybody else's
