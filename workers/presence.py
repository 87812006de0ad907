"""What the ledger is told of a worker as such: that it gets on, that it ends, that it was deaf and began again."""

from __future__ import annotations

import math
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ledger import occurrences, workers
from ledger.database import unit_of_work
from workers.workbench import Workbench

TELL_EVERY_S = 5.0
"""Seconds between two notes of one worker, however many rings it takes."""

log = structlog.get_logger(__name__)


class Presence:
    """Tells the ledger that this worker takes rings. It is a step of every task: who hears nothing tells nothing."""

    def __init__(self) -> None:
        self._next_at = -math.inf

    def __call__(self, workbench: Workbench) -> None:
        """Tell, unless it was told a moment ago."""
        if time.monotonic() < self._next_at:
            return
        with unit_of_work(workbench.database) as session:
            workers.hear(session, workbench.owner)
        self._next_at = time.monotonic() + TELL_EVERY_S


def begin(workbench: Workbench, *, was_deaf: bool) -> None:
    """Take the place of whatever this process was before; where the ledger is away, it forgets that by itself.

    Args:
        workbench: This worker's connections.
        was_deaf: Whether it started itself again because it heard nothing.
    """
    process, _, _ = workbench.owner.rpartition(":")
    try:
        with unit_of_work(workbench.database) as session:
            workers.replace(session, f"{process}:")
            if was_deaf:
                occurrences.note(session, "worker_deaf")
    except SQLAlchemyError as error:
        log.warning("start_not_noted", error=type(error).__name__)


def end(workbench: Workbench) -> None:
    """Sign off."""
    try:
        with unit_of_work(workbench.database) as session:
            workers.leave(session, workbench.owner)
    except SQLAlchemyError as error:
        log.warning("end_not_noted", error=type(error).__name__)
