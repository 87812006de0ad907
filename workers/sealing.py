"""Signing what has grown: a checkpoint of the log in the database, and a seal with it in the journal."""

from __future__ import annotations

from ledger import journal_lines
from ledger.database import unit_of_work
from ledger.log import checkpoints
from workers.workbench import Workbench


def seal(workbench: Workbench) -> bool:
    """Sign the log and the journal where the log has grown since that was done last; whether it had."""
    with unit_of_work(workbench.database) as session:
        checkpoint = checkpoints.checkpoint(session, workbench.signer)
    journal = workbench.journal
    if checkpoint is None or journal.read().last_checkpoint == checkpoint:
        return False
    journal.append([journal_lines.sealed(journal.last_mac(), checkpoint, workbench.signer)])
    return True
