"""`python -m tests.compose`: build and start the deployment, do to it what an operator and bad luck do, remove it.

It needs a container engine with `docker compose` or `docker-compose`; COMPOSE names another. Without one it fails.
"""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.compose.checks import STEPS
from tests.compose.engine import NoEngine
from tests.compose.stack import Stack, stack


@dataclass(frozen=True, slots=True)
class Row:
    """One step: its name, what was seen, how long it took and whether all was well."""

    step: str
    seen: str
    seconds: float
    is_well: bool


def main() -> int:
    """Take every step; 0 only if all was well."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the deployment, too
    console = Console(width=None if sys.stdout.isatty() else 140)
    started = time.monotonic()
    rows: list[Row] = []
    try:
        with stack() as made:
            for step in STEPS:
                rows.append(_taken(made, step))
                console.print(f"{rows[-1].seconds:6.1f} s  {step}", highlight=False)
                if not rows[-1].is_well:
                    console.print(_last_words(made), highlight=False, markup=False)
                    break
    except NoEngine as error:
        console.print(f"error: {error}\nthe deployment was not tested", highlight=False)
        return 1
    console.print(_table(rows, time.monotonic() - started))
    return 0 if len(rows) == len(STEPS) and all(row.is_well for row in rows) else 1


def _taken(made: Stack, step: str) -> Row:
    started = time.monotonic()
    try:
        seen, is_well = STEPS[step](made), True
    except Exception as error:  # noqa: BLE001 - whatever went wrong is a row of the table
        seen, is_well = f"{type(error).__name__}: {error}", False
    return Row(step, seen, time.monotonic() - started, is_well)


def _last_words(made: Stack) -> str:
    """The end of what every container wrote, before it is removed."""
    return made.engine.run("logs", "--tail", "15")


def _table(rows: list[Row], seconds: float) -> Table:
    table = Table(title=f"a deployment with compose, {seconds:.0f} s", title_justify="left")
    table.add_column("step")
    table.add_column("")
    table.add_column("seen", overflow="fold")
    table.add_column("s", justify="right")
    for row in rows:
        table.add_row(row.step, "ok" if row.is_well else "FAILED", row.seen, f"{row.seconds:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
