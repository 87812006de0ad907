"""Ringing without waiting."""

from __future__ import annotations

import threading
from time import monotonic

from ledger.doorbell import COMPLETE, UNLEARN, Doorbell
from service.ringer import Ringer

THREAD = "ringer"


def test_ringing_takes_no_time_though_nobody_hears() -> None:
    doorbell = Doorbell("redis://127.0.0.1:9/0")
    ringer = Ringer(doorbell)
    ringer.start()
    assert THREAD in {thread.name for thread in threading.enumerate()}
    started_at = monotonic()
    for _ in range(1000):
        ringer.ring(UNLEARN)
        ringer.ring(COMPLETE)
        ringer.hint()
    assert monotonic() - started_at < 1
    ringer.stop(30)
    assert THREAD not in {thread.name for thread in threading.enumerate()}
    doorbell.close()


def test_what_is_rung_before_the_end_is_still_rung() -> None:
    doorbell = Doorbell("redis://127.0.0.1:9/0")
    ringer = Ringer(doorbell)
    ringer.ring(UNLEARN)
    ringer.start()
    ringer.stop(30)
    assert THREAD not in {thread.name for thread in threading.enumerate()}
    doorbell.close()
