"""`alteraser audit`: what is left of a subject on disk, in the database, in the broker and in files one names."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

import redis
from rich.console import Console
from sqlalchemy.orm import Session

from alteraser.snapshot import ITEMS, USERS
from cli.deployment import Deployment, transaction
from ledger import traces
from ledger.claims import UNREACHABLE
from ledger.doorbell import redis_url
from ledger.errors import RequestNotFound
from ledger.pseudonym import Pseudonyms
from ledger.traces import Trace

QUOTED = rb"(?<![^\s\"'/=:,(\[])%s(?![^\s\"'/=:,)\]])"
"""An id as a word of its own: 42 is not found in 1420."""

IsIt = Callable[[str], bool]


def audit(
    console: Console, deployment: Deployment, sought: str | UUID, scope: str = "user", files: Sequence[Path] = ()
) -> bool:
    """Look everywhere and print what was found; whether nothing was.

    Args:
        console: Where to print; never the id.
        deployment: Where to look.
        sought: The raw id of a user or item, or the deletion request that named it, known by its pseudonym only.
        scope: ``user`` or ``item``, whose id it is; a request says so itself.
        files: Where to look besides: logs, the erasure journal, folders of such. They are searched for the id itself.

    Raises:
        RequestNotFound: There is no such request, or what led from it to its subject was destroyed.
    """
    with transaction(deployment) as session:
        if isinstance(sought, UUID):
            found = list(_of_request(session, deployment, sought))
        else:
            found = [*_of_id(session, deployment, sought, scope), *_in_files(files, sought)]
    for trace in found:
        console.print(f"LEFT  {trace.place}: {trace.count}", highlight=False, soft_wrap=True)
    if not found:
        console.print("nothing of the subject is left in the database's rows, the snapshots or the broker")
    if isinstance(sought, UUID):
        console.print("broker and files were not searched, which takes the id itself: --subject-file", highlight=False)
    console.print("out of reach of this command:", *(f"- {place}" for place in UNREACHABLE), sep="\n", highlight=False)
    return not found


def _of_id(session: Session, deployment: Deployment, subject: str, scope: str) -> Iterator[Trace]:
    yield from traces.in_database(session, subject, scope)
    yield from _on_disk(Path(deployment.snapshot_dir), scope, lambda id: id == subject)
    yield from _in_broker(deployment.broker_url, subject)


def _of_request(session: Session, deployment: Deployment, request_id: UUID) -> Iterator[Trace]:
    """By pseudonym: every id that is stored is made one and compared."""
    pseudonyms = Pseudonyms.load(Path(deployment.secrets_dir))
    known = traces.pseudonym_of(session, request_id)
    if known is None:
        raise RequestNotFound(request_id)
    scope, pseudonym = known
    made = pseudonyms.item if scope == "item" else pseudonyms.user
    n_stored = sum(made(id) == pseudonym for id in traces.ids_of(session, scope))
    if n_stored:
        yield Trace("database: interactions", n_stored)
    yield from _on_disk(Path(deployment.snapshot_dir), scope, lambda id: made(id) == pseudonym)


def _on_disk(snapshots: Path, scope: str, is_it: IsIt) -> Iterator[Trace]:
    """Every folder's vocabulary, of generations half written or half destroyed too; what cannot be read counts."""
    for folder in sorted(path for path in snapshots.iterdir() if path.is_dir()):
        yield from _in_vocabulary(folder / (USERS if scope == "user" else ITEMS), is_it)


def _in_vocabulary(file: Path, is_it: IsIt) -> Iterator[Trace]:
    place = f"snapshots: {file.parent.name}/{file.name}"
    if not file.is_file():
        return
    try:
        count = sum(map(is_it, json.loads(file.read_bytes())))
    except (OSError, ValueError):
        yield Trace(f"{place} cannot be read, and may name the subject", 1)
    else:
        if count:
            yield Trace(place, count)


def _in_broker(broker_url: str, subject: str) -> Iterator[Trace]:
    sought = re.compile(QUOTED % re.escape(subject.encode()))
    with closing(redis.Redis.from_url(redis_url(broker_url))) as client:
        count = sum(bool(sought.search(content)) for content in held_by(client))
    if count:
        yield Trace("broker: keys", count)


def _in_files(paths: Sequence[Path], subject: str) -> Iterator[Trace]:
    """Every file named, and every file below a folder named, line by line; what cannot be read counts."""
    sought = re.compile(QUOTED % re.escape(subject.encode()))
    for path in paths:
        for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
            yield from _in_file(file, sought)


def _in_file(file: Path, sought: re.Pattern[bytes]) -> Iterator[Trace]:
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            count = sum(bool(sought.search(line)) for line in lines)
    except (OSError, EOFError):
        yield Trace(f"file: {file} cannot be read, and may name the subject", 1)
    else:
        if count:
            yield Trace(f"file: {file}", count)


def held_by(client: redis.Redis) -> Iterator[bytes]:
    """Every key of a broker with what it holds, in one piece in which an id can be found."""
    readers: dict[str, Callable[[bytes], object]] = {
        "list": lambda key: client.lrange(key, 0, -1),
        "hash": client.hgetall,
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
        "string": client.get,
    }
    for key in client.scan_iter():
        kind = client.type(key)
        read = readers.get(kind.decode() if isinstance(kind, bytes) else kind, client.dump)
        yield key + b" " + repr(read(key)).encode()
