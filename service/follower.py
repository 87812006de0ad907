"""The thread that keeps a replica up to date."""

from __future__ import annotations

from threading import Event, Thread

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ledger.doorbell import Doorbell
from ledger.logs import told
from ledger.restores import RestoreGuard
from service.replica import Replica

log = structlog.get_logger(__name__)


class Follower:
    """Has the replica look at the ledger at every hint, and every few moments without one.

    It outlives whatever goes wrong: an error is logged when it begins and when it is over, and the next look
    is a new attempt.

    Attributes:
        replica: Who looks.
        guard: Looks before: what a restored database has lost is recorded again before it is followed.
        doorbell: Where hints are heard.
        poll_s: Seconds between two looks without a hint.
    """

    def __init__(self, replica: Replica, guard: RestoreGuard, doorbell: Doorbell, poll_s: float) -> None:
        self.replica = replica
        self.guard = guard
        self.doorbell = doorbell
        self.poll_s = poll_s
        self._trouble: str | None = None
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Look once, so that there is something to serve, then keep looking."""
        self._look(wait=False)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop looking, and sign off."""
        self._stopping.set()
        self.doorbell.hint()  # so that this thread, too, stops listening
        self._thread.join(timeout_s)
        try:
            self.replica.leave()
        except SQLAlchemyError as error:
            log.warning("replica_sign_off_failed", error=type(error).__name__)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._look(wait=True)

    def _look(self, *, wait: bool) -> None:
        try:
            if wait:
                self.doorbell.listen(self.poll_s)
            self._notice_restore()
            self.replica.follow()
        except Exception as error:  # noqa: BLE001 - the edge of a thread that must not end
            self._tell_trouble(error)
            self._stopping.wait(self.poll_s)
        else:
            self._tell_recovery()

    def _notice_restore(self) -> None:
        found = self.guard.look()
        if found is not None:
            log.warning("restore_noticed", missing=len(found.missing), reopened=len(found.reopened))

    def _tell_trouble(self, error: Exception) -> None:
        kind = type(error).__name__
        if kind != self._trouble:
            log.error("follow_failed", **told(error))
        self._trouble = kind

    def _tell_recovery(self) -> None:
        if self._trouble is not None:
            log.info("follow_recovered", error=self._trouble)
        self._trouble = None
