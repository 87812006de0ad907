"""The thread that delivers callbacks, so that nobody who is slow to answer one holds up a deletion."""

from __future__ import annotations

from threading import Event, Thread

import structlog

from ledger.logs import told
from workers.callbacks import deliver_due
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


class Dispatcher:
    """Delivers what is due whenever it is called, and as often as the sweep comes without that.

    What goes wrong is logged, and left to the next time: the callbacks are rows.
    """

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._called = Event()

    def start(self) -> None:
        """Begin to deliver; the thread ends with the process."""
        Thread(target=self._run, name="dispatcher", daemon=True).start()

    def call(self, _: Workbench) -> None:
        """Have it look now: the step that ends every task."""
        self._called.set()

    def _run(self) -> None:
        while True:
            self._called.wait(self._workbench.settings.worker_sweep_s)
            self._called.clear()
            try:
                deliver_due(self._workbench)
            except Exception as error:  # noqa: BLE001 - the edge of a thread that must not end
                log.error("callbacks_not_delivered", **told(error))
