"""What must be true of a deployment after a fault is over, whatever the fault was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from alteraser import snapshot
from alteraser.interaction_log import InteractionLog
from cli.audit import held_by
from ledger import interactions, receipts
from ledger.database import unit_of_work
from ledger.pseudonym import Pseudonyms
from tests.faults.site import MODEL, PATIENCE_S, Asked, Site
from tests.processes import wait_until

NEVER_SEEN = "nobody-ever-saw-me"
RECENT = 5
"""How many of the last requests are asked about over HTTP; the others are looked for where they could be."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a fault did.

    Attributes:
        n_in: Requests answered 201 while it lasted.
        n_completed: Those of them that were completed.
        resurrected: Where a completed subject was found, of all that were ever completed here.
        broken: Every other promise that does not hold.
    """

    n_in: int
    n_completed: int
    resurrected: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def n_lost(self) -> int:
        """How many were answered and are not completed."""
        return self.n_in - self.n_completed

    @property
    def is_kept(self) -> bool:
        """Whether every promise was kept."""
        return not (self.n_lost or self.resurrected or self.broken)


def judge(site: Site, asked: Sequence[Asked], within_s: float = PATIENCE_S) -> Judgement:
    """Wait until the requests are completed and the disk is clean, then look for everything that must not be."""
    try:
        site.await_completed(asked, within_s)
        wait_until(lambda: _on_disk(site) == _kept(site), within_s=PATIENCE_S)
    except TimeoutError:
        pass
    n_completed = site.states_of(asked).count("completed")
    completed = [
        each for each, state in zip(site.asked, site.states_of(site.asked), strict=True) if state == "completed"
    ]
    return Judgement(
        n_in=len(asked),
        n_completed=n_completed,
        resurrected=list(_places(site, completed)),
        broken=[*_broken(site), *_unequal_replicas(site, completed[-RECENT:])],
    )


def _broken(site: Site) -> Iterator[str]:
    """Promises about the ledger and the disk that do not hold."""
    for row in site.sql("SELECT DISTINCT promise FROM broken_promises"):
        yield row.promise
    if _on_disk(site) != _kept(site):
        yield f"on disk: {sorted(_on_disk(site))}, kept: {sorted(_kept(site))}"
    if site.sql("SELECT 1 FROM models WHERE current IS NULL"):
        yield "a model has no snapshot"
    completed_without = (
        "SELECT count(*) AS n FROM deletion_requests d FULL JOIN receipts r ON r.request_id = d.id "
        "WHERE (d.state = 'completed') <> (r.request_id IS NOT NULL)"
    )
    if site.sql(completed_without)[0].n:
        yield "completed without a receipt, or a receipt without completion"
    if site.sql("SELECT 1 FROM deletion_requests WHERE state = 'completed' AND subject IS NOT NULL"):
        yield "a completed request still names its subject"
    yield from _broken_answers(site)


def _broken_answers(site: Site) -> Iterator[str]:
    """Receipts and repeated requests that do not say what they should."""
    keys = receipts.jwks(site.secrets)
    for asked in site.asked[-RECENT:]:
        found = site.sql("SELECT jws FROM receipts WHERE request_id = :id", id=asked.request_id)
        if found and receipts.verify(found[0].jws, keys)["request_id"] != asked.request_id:
            yield "a receipt is of another request"
        if site.ask(asked.subject, asked.key, callback_url=asked.callback_url) != asked:
            yield "the same key got another request"


def _unequal_replicas(site: Site, completed: Sequence[Asked]) -> Iterator[str]:
    """Replicas that tell a forgotten subject from one they never met."""
    for name in site.running("web"):
        nobody = site.get(f"/v1/users/{NEVER_SEEN}/recommendations", name).json()
        for asked in completed:
            if site.get(f"/v1/users/{asked.subject}/recommendations", name).json() != nobody:
                yield f"replica {name} knows a forgotten subject"


def _places(site: Site, completed: Sequence[Asked]) -> Iterator[str]:
    """Where forgotten subjects still are; their interactions are sent once more before, as a lagging system would."""
    subjects = {each.subject for each in completed}
    _send_late(site, subjects)
    stored = site.sql("SELECT DISTINCT user_id FROM interactions WHERE user_id = ANY(:ids)", ids=list(subjects))
    yield from ("interactions" for _ in stored)
    current = site.sql("SELECT current FROM models WHERE name = :model", model=MODEL)[0].current
    if current in snapshot.digests(site.snapshots):
        known = snapshot.read(site.snapshots, current).interactions.users
        yield from ("the live snapshot" for subject in subjects if subject in known)
    for place, content in _contents(site):
        yield from (place for _ in subjects & site.people_in(content))


def _contents(site: Site) -> Iterator[tuple[str, bytes]]:
    """The bytes of everything that may not hold a forgotten subject, and where they were."""
    database_logs = (site.folder / "postgres").glob("*.log")
    folders = (site.snapshots, site.logs, site.folder / "valkey")
    for file in (*database_logs, *(file for folder in folders for file in folder.rglob("*"))):
        if file.is_file():
            yield str(file.relative_to(site.folder)), file.read_bytes()
    for content in held_by(site.broker):
        yield "the broker", content


def _send_late(site: Site, subjects: set[str]) -> None:
    """Send the interactions of these people again, all from before they were forgotten."""
    log = site.log
    rows = np.fromiter((user in subjects for user in log.users), np.bool_, len(log))
    late = InteractionLog(
        users=log.users[rows], items=log.items[rows], times=None if log.times is None else log.times[rows]
    )
    with unit_of_work(site.database) as session:
        interactions.import_log(session, late, Pseudonyms.load(site.secrets))


def _on_disk(site: Site) -> set[str]:
    """The names of all folders in the snapshot folder, half written ones included."""
    return {path.name for path in site.snapshots.iterdir() if path.is_dir()}


def _kept(site: Site) -> set[str]:
    """The digests that should be on disk: what is served, and what nobody asked to forget anything of since."""
    return {row.digest for row in site.sql("SELECT digest FROM snapshots WHERE destroyed_at IS NULL")}
