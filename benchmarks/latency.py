"""How long a person waits to be forgotten: the four clocks of deletions over HTTP, one after the other.

    python -m benchmarks.latency --dataset ml-1m --deletions 30 --json latency.json

Runs the whole system (PostgreSQL, Valkey, worker, beat, web), trains, deletes users drawn at random and prints the 50th
and 95th percentiles of each clock since the recording. Every time is the database's.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from benchmarks.evidence import print_table, provenance, write_json
from cli.caller import Caller
from cli.clocks import NAMES, Clocks, follow
from cli.datasets import Dataset, dataset
from cli.intake import import_log
from cli.stack import running
from cli.training import train_model
from cli.up import api_key

PATIENCE_S = 600.0
SILENT = Console(quiet=True)


def deletions(folder: Path, data: Dataset, users: list[str], console: Console) -> list[Clocks]:
    """Run the system in a folder, delete the users one by one, and return their clocks."""
    with running(folder, host="127.0.0.1", port=0, demo=True) as stack:
        import_log(console, stack.deployment, data.log)
        train_model(console, stack.deployment, "default", "wmf", data.hyperparameters)
        stack.wait_until_ready()
        with Caller(stack.url, api_key(stack.home, stack.deployment)) as caller:
            return [_deleted(caller, user) for user in users]


def percentiles(clocks: list[Clocks]) -> list[dict[str, Any]]:
    """Return a row per clock: percentiles of the seconds since the recording."""
    rows = []
    for name in NAMES[1:]:
        seconds = np.array([each.since_recorded_s(name) for each in clocks], dtype=float)
        p50, p95 = np.percentile(seconds, [50, 95])
        rows.append({"recorded to": name, "p50_s": p50, "p95_s": p95, "min_s": seconds.min(), "max_s": seconds.max()})
    return rows


def main(
    name: Annotated[str, typer.Option("--dataset", help="Dataset of ALTERASER_DATA_DIR.")] = "ml-1m",
    n: Annotated[int, typer.Option("--deletions", min=1, help="How many users are deleted.")] = 30,
    draw: Annotated[int, typer.Option(help="Seed of the draw of those users.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Where to write the rows.")] = None,
) -> None:
    """Measure the clocks of deletions over HTTP."""
    console = Console()
    named = os.environ.get("ALTERASER_DATA_DIR")
    data = dataset(console, name, data_dir=Path(named) if named else None, downloads=Path(".alteraser/downloads"))
    users = np.random.default_rng(draw).choice(np.unique(data.log.users.astype(str)), n, replace=False)
    with tempfile.TemporaryDirectory(prefix="alteraser-") as folder:
        clocks = deletions(Path(folder), data, [str(user) for user in users], console)
    rows = percentiles(clocks)
    print_table(f"{n} deletions of one user each, {name}, wmf, shipped defaults", rows)
    write_json(json, {**provenance(), "dataset": name, "rows": rows})


def _deleted(caller: Caller, user: str) -> Clocks:
    request_id = str(caller.delete({"subject": user})["id"])
    return follow(SILENT, "a user", caller.followed(request_id, patience_s=PATIENCE_S))


if __name__ == "__main__":
    typer.run(main)
