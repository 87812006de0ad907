"""`alteraser train`: a model from the stored interactions, published at the end."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict

import structlog
from rich.console import Console

from alteraser.model import Progress, Watch
from cli.deployment import Deployment
from cli.progress import Tell, shown
from workers.settings import WorkerSettings
from workers.training import train_once
from workers.workbench import Workbench, open_workbench

LEASE_S = 120.0
"""How long one step of training may take; deletions of the model wait as long if this process is killed."""


def train_model(
    console: Console,
    deployment: Deployment,
    model: str,
    kind: str,
    given: Mapping[str, object],
    *,
    seed: int = 0,
) -> None:
    """Train a model in this process and publish it.

    Raises:
        WorkerError: Another run of the model is live, or there is nothing to train on.
        AlteraserError: The kind or a hyper-parameter is unknown, or training did not converge.
    """
    workbench = quiet_workbench(deployment)
    with closing(workbench.database), shown(console, f"training {model} ({kind})") as tell:
        digest = train_once(workbench, model, kind=kind, given=given, seed=seed, watch=_watch(tell))
        tell(1, 1, f"snapshot {digest[:12]}")


def _watch(tell: Tell) -> Watch:
    """Tell of the steps that have an end or a residual; those inside them come too fast to be read."""

    def watch(progress: Progress) -> None:
        if progress.residual is not None:
            tell(
                progress.step,
                progress.of,
                f"{progress.phase} {progress.step}, residual {progress.residual:.1e}",
            )
        elif progress.of is not None:
            tell(progress.step, progress.of, f"{progress.phase} {progress.step} of {progress.of}")

    return watch


def quiet_workbench(deployment: Deployment) -> Workbench:
    """A worker's connections in this process, its log kept off the terminal: what goes wrong is raised."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return open_workbench(WorkerSettings.model_validate({**asdict(deployment), "worker_lease_s": LEASE_S}))
