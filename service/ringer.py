"""Telling others that there is work, without ever waiting for the broker where an answer is due."""

from __future__ import annotations

from threading import Condition, Thread

import structlog

from ledger.doorbell import Doorbell

log = structlog.get_logger(__name__)


class Ringer:
    """A thread that rings the doorbell for others; rings that come while it is busy become one.

    A ring that is lost costs time, not work: replicas poll and the workers sweep.

    Attributes:
        doorbell: What is rung.
    """

    def __init__(self, doorbell: Doorbell) -> None:
        self.doorbell = doorbell
        self._wanted = Condition()
        self._tasks: set[str] = set()
        self._hint = False
        self._stopping = False
        self._thread = Thread(target=self._run, name="ringer", daemon=True)

    def start(self) -> None:
        """Start ringing."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Ring what is still wanted, and end."""
        with self._wanted:
            self._stopping = True
            self._wanted.notify()
        self._thread.join(timeout_s)

    def ring(self, task: str) -> None:
        """Have a worker told that `task` has something to do."""
        with self._wanted:
            self._tasks.add(task)
            self._wanted.notify()

    def hint(self) -> None:
        """Have the other replicas told that the ledger has news."""
        with self._wanted:
            self._hint = True
            self._wanted.notify()

    def _run(self) -> None:
        while self._ring_once():
            pass

    def _ring_once(self) -> bool:
        """Wait for something to ring, and ring it; False when stopping and all is rung."""
        with self._wanted:
            self._wanted.wait_for(lambda: self._tasks or self._hint or self._stopping)
            tasks, self._tasks = self._tasks, set()
            hint, self._hint = self._hint, False
        if hint:
            self.doorbell.hint()
        unheard = [task for task in sorted(tasks) if not self.doorbell.ring(task)]
        if unheard:
            log.warning("doorbell_unheard", tasks=unheard)
        return bool(tasks or hint)
