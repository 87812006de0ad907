"""What is left on disk of a deleted canary: every byte of a deployment searched before and after.

    python -m benchmarks.residue --dataset ml-100k --json residue.json

Runs the whole system (PostgreSQL, Valkey, worker, beat, web) on data with a canary planted in it: a user whose id
occurs nowhere else, with some items that occur nowhere else and some that others have met. Trains, deletes the canary
over HTTP, and searches all files of the deployment for its id, its items' ids, its history and its embedding row, in
every encoding of `benchmarks.needles`: before the deletion (the control: what the search is able to find), when the
service says ``completed``, when the system has stopped, after a plain vacuum of the database, and after every table was
rewritten and the write-ahead log recycled. The database writes its pages out before each look.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import psycopg
import typer
from numpy.typing import NDArray
from rich.console import Console
from sqlalchemy import make_url

from alteraser import snapshot
from alteraser.interaction_log import InteractionLog
from alteraser.snapshot import Snapshot
from benchmarks.canaries import RARE_LEAST
from benchmarks.evidence import print_table, provenance, write_json
from benchmarks.needles import Find, Needle, nearest_cosine, of_text, of_vector, searched
from cli.caller import Caller
from cli.clocks import follow
from cli.datasets import Dataset, dataset
from cli.embedded import EmbeddedPostgres
from cli.home import Home
from cli.intake import import_log
from cli.stack import running
from cli.training import train_model
from cli.up import api_key

PATIENCE_S = 600.0
SILENT = Console(quiet=True)
STAGES = ("before", "completed", "stopped", "vacuumed", "rewritten")
N_OWN, N_SHARED = 5, 15
VACUUM = ("VACUUM", "CHECKPOINT")
REWRITE = ("VACUUM (FULL, ANALYZE)", *("CHECKPOINT", "SELECT pg_switch_wal()") * 5, "CHECKPOINT")
"""Log segments are ended early, so that the checkpoints between them recycle those from before."""

RELATIONS = "SELECT pg_relation_filepath(oid), relname FROM pg_class WHERE pg_relation_filepath(oid) IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Planted:
    """A canary in a log.

    Attributes:
        user: Its id.
        own: Items nobody else has met.
        shared: Items some others have met.
    """

    user: str
    own: tuple[str, ...]
    shared: tuple[str, ...]

    def needles(self, model: Snapshot) -> list[Needle]:
        """Return what to look for: the ids, and what the live model holds of the canary."""
        row = model.interactions.users.rows([self.user])[0]
        history = model.interactions.by_user.row(int(row)).astype("<i4").tobytes()
        return [
            *of_text("user id", self.user),
            *(needle for item in self.own for needle in of_text("item id", item)),
            Needle("history", "int32", history),
            *of_vector("embedding", model.parameters.users[row].numpy()),
        ]


@dataclass(frozen=True, slots=True)
class Stage:
    """What was found at one moment.

    Attributes:
        name: One of `STAGES`.
        finds: In all files.
        cosine: Nearest of any row of any snapshot on disk to the canary's.
        alike: Users in the snapshots on disk who have met all the canary's shared items.
        relations: Name of a table or index by its file.
    """

    name: str
    finds: tuple[Find, ...]
    cosine: float
    alike: int
    relations: Mapping[str, str]

    def places(self) -> Counter[tuple[str, str, str]]:
        """Return how often what was found where in which encoding."""
        counts: Counter[tuple[str, str, str]] = Counter()
        for find in self.finds:
            counts[place_of(find.path, self.relations), find.what, find.encoding] += find.times
        return counts


def with_canary(log: InteractionLog, draw: int) -> tuple[InteractionLog, Planted]:
    """Return the log with a canary's rows at its end; ids are random, so that nothing else can look like them."""
    generator, mark = np.random.default_rng(draw), secrets.token_hex(8)
    items, counts = np.unique(log.items.astype(str), return_counts=True)
    shared = generator.choice(items[counts >= RARE_LEAST], N_SHARED, replace=False)
    canary = Planted(
        user=f"canary-user-{mark}",
        own=tuple(f"canary-item-{mark}-{k}" for k in range(N_OWN)),
        shared=tuple(map(str, shared)),
    )
    met = [*canary.own, *canary.shared]
    return (
        InteractionLog(
            users=np.append(log.users, np.full(len(met), canary.user, dtype=object)),
            items=np.append(log.items, np.array(met, dtype=object)),
            ratings=None if log.ratings is None else np.append(log.ratings, np.full(len(met), log.ratings.max())),
            times=None if log.times is None else np.append(log.times, np.full(len(met), log.times.max())),
        ),
        canary,
    )


def place_of(path: Path, relations: Mapping[str, str]) -> str:
    """Return the part of a deployment that a file belongs to.

    Args:
        path: Relative to the home folder.
        relations: Name of a table or index by its file, relative to the database's folder.
    """
    parts = path.parts
    if parts[:2] != ("postgres", "data"):
        return parts[0]
    inside = "/".join(parts[2:])
    named = relations.get(inside.split(".")[0].removesuffix("_fsm").removesuffix("_vm"))
    return f"postgres {named or parts[2]}"


def measured(folder: Path, data: Dataset, kind: str, draw: int, console: Console) -> list[Stage]:
    """Run the system in a folder, delete the canary, and search at every stage."""
    log, canary = with_canary(data.log, draw)
    with running(folder, host="127.0.0.1", port=0, demo=True) as stack:
        home, deployment = stack.home, stack.deployment
        import_log(console, deployment, log)
        train_model(console, deployment, "default", kind, data.hyperparameters)
        stack.wait_until_ready()
        live = _only_snapshot(home)
        needles, vector = canary.needles(live), _row_of(live, canary.user)
        look = partial(_searched, home=home, needles=needles, vector=vector, canary=canary)
        stages = [look("before", relations=_asked(deployment.database_url, ["CHECKPOINT"]))]
        with Caller(stack.url, api_key(home, deployment)) as caller:
            request_id = str(caller.delete({"subject": canary.user})["id"])
            follow(console, "a canary", caller.followed(request_id, patience_s=PATIENCE_S))
        relations = _asked(deployment.database_url, ["CHECKPOINT"])
        stages.append(look("completed", relations=relations))
    stages.append(look("stopped", relations=relations))
    with EmbeddedPostgres(home.postgres) as postgres:
        stages.append(look("vacuumed", relations=_asked(postgres.url, VACUUM)))
        stages.append(look("rewritten", relations=_asked(postgres.url, REWRITE)))
    return stages


def rows_of(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Return a row for each place, thing and encoding: how often at each stage."""
    places = {stage.name: stage.places() for stage in stages}
    keys = sorted(set().union(*places.values()))
    rows = [
        {
            "where": where,
            "what": what,
            "as": encoding,
            **{name: found[where, what, encoding] for name, found in places.items()},
        }
        for where, what, encoding in keys
    ]
    rows.append({"where": "snapshots", "what": "nearest row", "as": "cosine", **{s.name: s.cosine for s in stages}})
    rows.append({"where": "snapshots", "what": "like history", "as": "users", **{s.name: s.alike for s in stages}})
    return rows


def main(
    name: Annotated[str, typer.Option("--dataset", help="Dataset of ALTERASER_DATA_DIR.")] = "ml-100k",
    model: Annotated[str, typer.Option(help="Model kind.")] = "wmf",
    draw: Annotated[int, typer.Option(min=0, help="Seed of the canary's items.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Where to write the rows.")] = None,
) -> None:
    """Search a deployment's files for a canary it was told to forget."""
    console, named = Console(), os.environ.get("ALTERASER_DATA_DIR")
    data = dataset(console, name, data_dir=Path(named) if named else None, downloads=Path(".alteraser/downloads"))
    with tempfile.TemporaryDirectory(prefix="alteraser-") as folder:
        stages = measured(Path(folder), data, model, draw, console)
    rows = rows_of(stages)
    print_table(f"a canary deleted from {name}, {model}: times found on disk", rows)
    write_json(
        json, {"benchmark": "residue", **provenance(), "dataset": name, "model": model, "draw": draw, "rows": rows}
    )


def _searched(
    name: str,
    *,
    home: Home,
    needles: Sequence[Needle],
    vector: NDArray[np.float64],
    canary: Planted,
    relations: Mapping[str, str],
) -> Stage:
    models = [snapshot.read(home.snapshots, digest) for digest in snapshot.digests(home.snapshots)]
    rows = [block for model in models for block in (model.parameters.users.numpy(), model.parameters.items.numpy())]
    return Stage(
        name=name,
        finds=tuple(searched(home.folder, needles)),
        cosine=max((nearest_cosine(block, vector) for block in rows), default=0.0),
        alike=sum(_alike(model, canary) for model in models),
        relations=relations,
    )


def _alike(model: Snapshot, canary: Planted) -> int:
    data = model.interactions
    met = [set(data.by_item.row(int(item)).tolist()) for item in data.items.rows(canary.shared)]
    return len(set.intersection(*met)) if met else 0


def _only_snapshot(home: Home) -> Snapshot:
    (digest,) = snapshot.digests(home.snapshots)
    return snapshot.read(home.snapshots, digest)


def _row_of(model: Snapshot, user: str) -> NDArray[np.float64]:
    row: NDArray[np.float64] = model.parameters.users[model.interactions.users.rows([user])[0]].numpy()
    return row


def _asked(database_url: str, statements: Iterable[str]) -> dict[str, str]:
    """Say these to the database; what its files are called afterwards."""
    url = make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        return dict(connection.execute(RELATIONS.encode()).fetchall())


if __name__ == "__main__":
    typer.run(main)
