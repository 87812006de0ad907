"""What every measurement carries with it: the machine, the commit, and how it is written down."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table


def pin_threads() -> None:
    """Let torch use every core and no more; without this it may start more threads than there are cores."""
    torch.set_num_threads(os.cpu_count() or 1)


def provenance() -> dict[str, Any]:
    """Return what a figure depends on beside the code: machine, versions, threads, commit."""
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "commit": _commit(),
    }


def write_json(path: Path | None, evidence: Mapping[str, Any]) -> None:
    """Write the evidence where a path is given."""
    if path is not None:
        path.write_text(json.dumps(evidence, indent=2) + "\n")


def print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of like keys as a table."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right" if isinstance(rows[0][name], int | float) else "left")
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    Console(width=120).print(table)


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607

    try:
        return git("rev-parse", "--short", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
