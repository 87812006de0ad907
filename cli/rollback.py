"""`alteraser rollback`: an earlier generation of a model, published again."""

from __future__ import annotations

from contextlib import closing

from rich.console import Console

from cli.deployment import Deployment
from cli.training import quiet_workbench
from workers.rollback import roll_back


def roll_model_back(console: Console, deployment: Deployment, model: str, version: int | None) -> None:
    """Return to an earlier generation in this process.

    Raises:
        LedgerError: There is no such model, or no generation that may come back.
        WorkerError: Another run of the model is live.
    """
    workbench = quiet_workbench(deployment)
    with closing(workbench.database):
        digest = roll_back(workbench, model, version)
    console.print(f"model {model} serves what it served before, as snapshot {digest[:12]}", highlight=False)
