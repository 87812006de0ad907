"""What a scrape costs on a long history: the ledger's metrics read from a real PostgreSQL with many requests and runs.

    python -m benchmarks.scrape --requests 100000 --runs 20000

The history is made of completed requests, each unlearned by one of the runs, and a hundred that are open. The first
reading adds everything up; later ones read what is open or newer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated, Any

import typer
from sqlalchemy import text

import migrations
from benchmarks.evidence import print_table, provenance, write_json
from benchmarks.timing import Timings
from cli.embedded import EmbeddedPostgres
from ledger.database import Database, connect, unit_of_work
from service.collectors.ledger import LedgerCollector

N_OPEN = 100
MODEL = "INSERT INTO models (name, kind, current, version, watermark) VALUES ('main', 'wmf', 'digest', 1, :n_requests)"
RUNS = """
    INSERT INTO runs (model, purpose, state, owner, lease_expires_at, started_at, ended_at, child, report, certificate)
    SELECT 'main', 'unlearn', 'published', 'worker', at, at, at + interval '1 s', md5(n::text), :report, :report
    FROM (SELECT n, now() - interval '1 h' - n * interval '1 min' AS at FROM generate_series(1, :n_runs) AS n) AS made
"""
REQUESTS = """
    INSERT INTO deletion_requests (tenant, key_digest, payload_digest, kind, subject_hmac, sequence, state, recorded_at,
        suppressed_at, unlearned_at, completed_at, due_at, attempts)
    SELECT 'acme', digest, digest, 'subject', digest, n, CASE WHEN is_open THEN 'pending' ELSE 'completed' END, at,
        at + random() * interval '0.2 s',
        CASE WHEN NOT is_open THEN at + interval '1 s' + random() * interval '1 s' END,
        CASE WHEN NOT is_open THEN at + interval '2 s' + random() * interval '2 s' END, at + interval '30 d', 1
    FROM (
        SELECT n, repeat(md5(n::text), 2) AS digest, n > :n_requests - :n_open AS is_open,
            now() - (:n_requests - n) * interval '10 s' AS at
        FROM generate_series(1, :n_requests) AS n
    ) AS made
"""
ASKED = """
    WITH numbered AS (SELECT id, row_number() OVER () AS n FROM runs)
    INSERT INTO request_models (request_id, model, state, run_id, version)
    SELECT request.id, 'main', CASE WHEN request.state = 'pending' THEN 'pending' ELSE 'published' END,
        CASE WHEN request.state <> 'pending' THEN run.id END, 1
    FROM deletion_requests AS request JOIN numbered AS run ON run.n = 1 + request.sequence % :n_runs
"""
LOGGED = "INSERT INTO log_entries SELECT 0, '{}'"
REPORT = '{"report": "' + "x" * 1500 + '"}'


def main(
    requests: Annotated[int, typer.Option(help="Requests in the ledger.")] = 100_000,
    runs: Annotated[int, typer.Option(help="Runs in the ledger.")] = 20_000,
    repeats: Annotated[int, typer.Option(help="Readings after the first.")] = 20,
    json: Annotated[Path | None, typer.Option(help="Where to write the evidence.")] = None,
) -> None:
    """Measure the first reading and later ones."""
    with TemporaryDirectory(prefix="alteraser-") as folder, EmbeddedPostgres(Path(folder) / "postgres") as server:
        migrations.upgrade(server.url)
        database = connect(server.url)
        fill(database, requests, runs)
        rows = measured(database, repeats)
        database.close()
    print_table(f"seconds to read the ledger, {requests:,} requests and {runs:,} runs", rows)
    write_json(json, {**provenance(), "requests": requests, "runs": runs, "rows": rows})


def fill(database: Database, n_requests: int, n_runs: int) -> None:
    """Make the history."""
    values = {"n_requests": n_requests, "n_runs": n_runs, "n_open": min(N_OPEN, n_requests), "report": REPORT}
    with unit_of_work(database) as session:
        for statement in (MODEL, RUNS, REQUESTS, ASKED, LOGGED):
            session.execute(text(statement), values)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def measured(database: Database, repeats: int) -> list[dict[str, Any]]:
    """Time the first reading of new processes, and the later ones of one."""
    first = [_seconds(LedgerCollector(database, 10.0).collect) for _ in range(max(1, repeats // 4))]
    collector = LedgerCollector(database, 10.0)
    collector.collect()
    later = [_seconds(collector.collect) for _ in range(repeats)]
    timings = {"first": Timings(first), "later": Timings(later)}
    return [
        {"reading": name, "times": len(took), "median": took.median, "least": min(took), "most": max(took)}
        for name, took in timings.items()
    ]


def _seconds(work: Callable[[], object]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


if __name__ == "__main__":
    typer.run(main)
