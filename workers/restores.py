"""What workers do about a restored database or snapshot folder, before anything else."""

from __future__ import annotations

from contextlib import suppress

import structlog

from alteraser import snapshot
from alteraser.errors import AlteraserError
from ledger.database import unit_of_work
from ledger.errors import LedgerError
from ledger.restores import behind
from ledger.sweep import models_with_work
from ledger.tables import Model
from workers.errors import WorkerError
from workers.training import train_once
from workers.workbench import Workbench

log = structlog.get_logger(__name__)


def notice_restore(workbench: Workbench) -> None:
    """Compare ledger and journal at start and when the ledger steps back; record again what it has lost."""
    found = workbench.guard.look()
    if found is not None:
        named = {"missing": len(found.missing), "reopened": len(found.reopened), "behind": sorted(found.behind)}
        log.warning("restore_noticed", **named, uncancelled=len(found.uncancelled))
    damage = workbench.guard.new_damage()
    if damage:
        log.error("journal_damaged", lines=damage)


def is_behind(workbench: Workbench) -> bool:
    """Whether a restore left a model behind what was published of it."""
    floors = workbench.journal.read().floors()
    with unit_of_work(workbench.database) as session:
        return bool(behind(session, floors))


def retrain_behind(workbench: Workbench) -> int:
    """Train anew each model that a restore left behind what was published, where unlearning cannot; returns how many.

    It cannot where the parent was destroyed after the backup was made, or where nothing is left to unlearn. Training
    on the stored interactions leaves out whatever is asked to be deleted.
    """
    stuck = _stuck(workbench)
    for model in stuck:
        log.warning("model_retrained_after_restore", model=model.name, watermark=model.watermark)
        with suppress(AlteraserError, LedgerError, WorkerError):  # recorded with the run; the sweep rings again
            train_once(workbench, model.name, kind=model.kind, given=model.hyperparameters)
    return len(stuck)


def _stuck(workbench: Workbench) -> list[Model]:
    """The models behind the journal that no unlearning run can bring forward."""
    floors = workbench.journal.read().floors()
    with unit_of_work(workbench.database) as session:
        models = behind(session, floors)
        working = models_with_work(session)
    on_disk = snapshot.digests(workbench.snapshots)
    return [model for model in models if model.current not in on_disk or model.name not in working]
