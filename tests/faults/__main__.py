"""`python -m tests.faults`: strike every fault on a real deployment and print what came of it.

Others may strike with their own seeds, more often, or only some of them: `--seed 7 --times 3 --only publish`.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time

import structlog
from rich.console import Console
from rich.table import Table

from tests.faults.suite import Row, chosen, strike_all


def main() -> int:
    """Run the suite; 0 only if every promise was kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=0, help="of everything drawn: who is forgotten, when a process dies"
    )
    parser.add_argument("--times", type=int, default=1, help="how often each fault is struck")
    parser.add_argument("--only", nargs="+", help="strike only the faults whose name contains one of these")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends the deployment and gives its disk back
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    console = Console(width=None if sys.stdout.isatty() else 120)
    started = time.monotonic()
    rows: list[Row] = []
    for row in strike_all(chosen(arguments.only), seed=arguments.seed, times=arguments.times):
        rows.append(row)
        console.print(f"{row.seconds:6.1f} s  {'kept  ' if row.is_kept else 'BROKEN'}  {row.fault}", highlight=False)
        for said in row.broken:
            console.print(said, highlight=False, markup=False)
    console.print(_table(rows, time.monotonic() - started, arguments.seed))
    return 0 if rows and all(row.is_kept for row in rows) else 1


def _table(rows: list[Row], seconds: float, seed: int) -> Table:
    totals = (sum(row.n_in for row in rows), sum(row.n_completed for row in rows))
    table = Table(title=f"{len(rows)} faults, seed {seed}, {seconds:.0f} s", show_footer=True)
    table.add_column("fault", footer="all")
    table.add_column("times", justify="right", footer=str(sum(row.times for row in rows)))
    table.add_column("outcome", footer="kept" if all(row.is_kept for row in rows) else "BROKEN")
    table.add_column("in", justify="right", footer=str(totals[0]))
    table.add_column("completed", justify="right", footer=str(totals[1]))
    table.add_column("lost", justify="right", footer=str(totals[0] - totals[1]))
    table.add_column("resurrected", justify="right", footer=str(sum(row.n_resurrected for row in rows)))
    for row in rows:
        numbers = (row.n_in, row.n_completed, row.n_in - row.n_completed, row.n_resurrected)
        table.add_row(row.fault, str(row.times), "kept" if row.is_kept else "BROKEN", *map(str, numbers))
    return table


if __name__ == "__main__":
    sys.exit(main())
