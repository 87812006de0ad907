"""A worker that is told to stop finishes what it has at hand, or gives it back in time.

Celery ends after the task at hand, however long that takes. Whoever told it to stop waits only so long and then kills
it, and a killed worker's requests wait until its lease runs out. So a run that is not over in time ends at the solver's
next step, and another worker may take its requests at once.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from celery.signals import worker_shutting_down

from workers.errors import ToldToStop


@dataclass(slots=True)
class Shutdown:
    """Whether this process was told to stop, and for how long it may still go on.

    Attributes:
        within_s: Seconds from then on that a run may take.
    """

    within_s: float
    _told_at: float | None = field(default=None, init=False)

    @property
    def is_told(self) -> bool:
        """Whether the process was told to stop: nothing new is begun."""
        return self._told_at is not None

    def tell(self, **_: object) -> None:
        """Stop soon: what SIGTERM sets going."""
        if self._told_at is None:
            self._told_at = time.monotonic()

    def await_signal(self) -> None:
        """Be told by Celery when it is."""
        worker_shutting_down.connect(self.tell, weak=False)

    def check(self) -> None:
        """Go on, or not.

        Raises:
            ToldToStop: The time is over.
        """
        if self._told_at is not None and time.monotonic() - self._told_at >= self.within_s:
            raise ToldToStop(self.within_s)
