"""Worse than crashes: processes that stand still, servers that go away, disks that fill, clocks that are wrong."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psycopg

from ledger.doorbell import COMPLETE, QUEUE, SWEEP, UNLEARN
from tests.faults.bursts import bursts
from tests.faults.fault import Fault, Strike
from tests.faults.judgement import NEVER_SEEN
from tests.faults.poison import await_isolated
from tests.faults.site import LEASE_S, MAX_CONNECTIONS, REPLICA_TIMEOUT_S, Asked, Site, events, pause
from tests.processes import wait_until

TWO_HOURS_S = 7200
BRIEFLY_S, A_MINUTE_S = 3.0, 60.0
SHORTEST_FILE_BYTES = 20_000
PATIENCE_S = 60.0


def worse(*, in_full: bool) -> list[Fault]:
    """Every one of them; the broker stays away for a minute where there is time."""
    away_s = A_MINUTE_S if in_full else BRIEFLY_S
    return [
        *(
            Fault(
                f"worker stopped at {point} for longer than its lease", _stop_worker(point), point == "publish.inside"
            )
            for point in ("unlearn.step", "write.file", "write.renamed", "publish.before", "publish.inside")
        ),
        Fault("replica stopped while it holds the clock", _stop_recording_replica),
        Fault("replica that never acknowledges, and comes back", _stop_replica, is_quick=True),
        Fault("broker flushed again and again", _flush_broker),
        Fault(f"broker killed for {away_s:.0f} s", lambda site, _: _lose_broker(site, away_s)),
        Fault("messages duplicated and reordered", _shuffle_messages),
        Fault("database restarted in the middle of a publish", _restart_in_publish(signal.SIGINT)),
        Fault("database killed in the middle of a publish", _restart_in_publish(signal.SIGKILL), is_quick=True),
        Fault("database killed while requests come in", _kill_database_under_load),
        Fault("database out of connections", _exhaust_connections),
        Fault("disk full while a snapshot is written", _fill_disk, is_quick=True),
        *(Fault(f"a byte flipped in {file}", _flip(file), file == "parameters.safetensors") for file in SNAPSHOT_FILES),
        Fault("the live snapshot's folder gone", _lose_snapshot),
        *(
            Fault(f"clock of the worker two hours {word}", _skew(off_s), word == "fast")
            for word, off_s in SKEWS.items()
        ),
        Fault("one request fails every run it is in", _poison("fail")),
        Fault("one request kills every worker that takes it", _poison("kill")),
        Fault("two workers, two beats, three replicas at once, one of each killed", _crowd),
        *bursts(in_full=in_full),
    ]


SNAPSHOT_FILES = ("parameters.safetensors", "interactions.safetensors", "manifest.json")
SKEWS = {"fast": TWO_HOURS_S, "slow": -TWO_HOURS_S}


def _stop_worker(point: str) -> Strike:
    """Stop a worker in its run, let another take over, and let the first go on: it must not publish."""

    def strike(site: Site, _: np.random.Generator) -> Sequence[Asked]:
        site.kill("worker")
        site.start_worker("paused", crash_at=f"{point}:1:stop")
        asked = site.ask_some(1)
        site.await_stop("paused")
        site.start_worker()
        pause(LEASE_S)
        site.await_completed(asked)
        site.send("paused", signal.SIGCONT)
        wait_until(lambda: bool({"run_lost", "run_failed"} & _said(site, "paused")), within_s=PATIENCE_S)
        if "child_published" in _said(site, "paused"):
            raise AssertionError("a worker that had lost its lease published")
        return [*asked, *site.ask_some(1)]

    return strike


def _stop_recording_replica(site: Site, _: np.random.Generator) -> Sequence[Asked]:
    """Stop a replica in a transaction that everybody else who records waits for."""
    site.start_web("web2", crash_at="record.inside:1:stop")
    with ThreadPoolExecutor() as callers:
        held_up = site.someone()
        answer = callers.submit(site.ask, held_up, f"key-of-{held_up}", "web2")
        site.await_stop("web2")
        asked = site.ask_some(1)
        site.send("web2", signal.SIGCONT)
        return [*asked, answer.result()]


def _stop_replica(site: Site, _: np.random.Generator) -> Sequence[Asked]:
    """Stop a replica: deletions wait no longer than its timeout, and back again it knows nobody who was forgotten."""
    site.start_web("web2")
    site.send("web2", signal.SIGSTOP)
    asked = site.ask_some(2)
    site.await_completed(asked)
    site.send("web2", signal.SIGCONT)
    for _look in range(30):
        nobody = site.get(f"/v1/users/{NEVER_SEEN}/recommendations", "web2")
        somebody = site.get(f"/v1/users/{asked[0].subject}/recommendations", "web2")
        versions = {answer.headers.get("Alteraser-Model-Version") for answer in (nobody, somebody)}
        if len(versions) == 1 and nobody.content.split(b"instance")[0] != somebody.content.split(b"instance")[0]:
            raise AssertionError("a replica that came back knows somebody who was forgotten meanwhile")
    wait_until(lambda: site.is_ready("web2"), within_s=PATIENCE_S)
    if "replica_outlived" not in _said(site, "web2"):
        raise AssertionError("a replica that was declared dead was not refused with its older watermark")
    return asked


def _flush_broker(site: Site, random: np.random.Generator) -> Sequence[Asked]:
    asked = []
    for _ in range(5):
        asked += site.ask_some(1)
        site.broker.flushall()
        pause(float(random.uniform(0, 0.5)))
        site.broker.flushall()
    return asked


def _lose_broker(site: Site, away_s: float) -> Sequence[Asked]:
    """Have no broker for a while; requests are answered all the same."""
    asked = site.ask_some(1)
    with site.broker_away():
        asked += site.ask_some(2)
        pause(away_s)
        asked += site.ask_some(1)
    return asked


def _shuffle_messages(site: Site, random: np.random.Generator) -> Sequence[Asked]:
    """Stop the worker while rings pile up, then deliver them twenty times each and in any order."""
    site.send("worker", signal.SIGSTOP)
    asked = site.ask_some(3)
    for task in (COMPLETE, SWEEP, UNLEARN):
        site.doorbell.ring(task)
    client = site.broker
    held = [message for message in client.lrange(QUEUE, 0, -1) for _ in range(20)]
    random.shuffle(held)
    client.delete(QUEUE)
    client.rpush(QUEUE, *held)
    site.send("worker", signal.SIGCONT)
    return asked


def _restart_in_publish(number: signal.Signals) -> Strike:
    """Stop a worker inside the publishing transaction, end PostgreSQL, start it again, and let the worker go on."""

    def strike(site: Site, _: np.random.Generator) -> Sequence[Asked]:
        site.kill("worker")
        site.start_worker("worker2", crash_at="publish.inside:1:stop")
        asked = site.ask_some(2)
        site.await_stop("worker2")
        site.restart_postgres(number)
        site.send("worker2", signal.SIGCONT)
        site.start_worker()
        return [*asked, *site.ask_some(1)]

    return strike


def _kill_database_under_load(site: Site, random: np.random.Generator) -> Sequence[Asked]:
    with ThreadPoolExecutor(4) as callers:
        answers = [callers.submit(site.ask, site.someone()) for _ in range(12)]
        pause(float(random.uniform(0.1, 1.0)))
        site.restart_postgres(signal.SIGKILL, away_s=1.0)
        return [answer.result() for answer in answers]


def _exhaust_connections(site: Site, _: np.random.Generator) -> Sequence[Asked]:
    """Take every connection PostgreSQL has; the caller is told to come again, and does."""
    asked = site.ask_some(1)
    with _all_connections(site):
        site.start_worker("worker2")
        subject = site.someone()
        refused = site.post(subject, f"key-of-{subject}")
        if refused is not None and refused.status_code not in (201, 503):
            raise AssertionError(f"out of connections, the answer was {refused.status_code}")
        pause(BRIEFLY_S)
    return [*asked, site.ask(subject, f"key-of-{subject}"), *site.ask_some(1)]


@contextmanager
def _all_connections(site: Site) -> Iterator[None]:
    url = site.postgres.url.replace("postgresql+psycopg://", "postgresql://")
    taken: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        with suppress(psycopg.OperationalError):
            taken.extend(psycopg.connect(url) for _ in range(2 * MAX_CONNECTIONS))
        yield
    finally:
        for connection in taken:
            connection.close()


def _fill_disk(site: Site, _: np.random.Generator) -> Sequence[Asked]:
    """Leave no room for a snapshot until a run has failed."""
    ballast = site.snapshots / ".ballast"
    site.kill("worker")
    site.start_worker()
    with _full(site, ballast):
        asked = site.ask_some(2)
        wait_until(lambda: "run_failed" in _said(site, "worker"), within_s=PATIENCE_S)
    site.kill("worker")
    site.start_worker()
    return asked


@contextmanager
def _full(site: Site, ballast: Path) -> Iterator[None]:
    """A full disk; where the snapshots have no disk of their own, a worker that may write small files only."""
    if not site.is_small_disk:
        (pid,) = (pid for name, pid in site.pids.items() if name == "worker")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (SHORTEST_FILE_BYTES, resource.RLIM_INFINITY))
        yield
        return
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


def _flip(file: str) -> Strike:
    """Flip one bit of the live snapshot; nothing can be unlearned from it any more."""

    def strike(site: Site, random: np.random.Generator) -> Sequence[Asked]:
        path = site.snapshots / site.sql("SELECT current FROM models")[0].current / file
        content = bytearray(path.read_bytes())
        content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
        path.chmod(0o600)
        path.write_bytes(content)
        return site.ask_some(2)

    return strike


def _lose_snapshot(site: Site, _: np.random.Generator) -> Sequence[Asked]:
    live = site.snapshots / site.sql("SELECT current FROM models")[0].current
    for file in live.iterdir():
        file.unlink()
    live.rmdir()
    return site.ask_some(2)


def _skew(off_s: float) -> Strike:
    """Let the only worker believe in another time."""

    def strike(site: Site, _: np.random.Generator) -> Sequence[Asked]:
        site.kill("worker")
        log = (site.logs / f"skewed {off_s:+.0f}.log").open("ab")
        command = [sys.executable, "-m", "tests.faults.skewed", str(off_s), "workers", "worker"]
        with subprocess.Popen(command, env=site.environment, stdout=log, stderr=log) as process:
            site.adopt("skewed", process)
            asked = site.ask_some(2)
            site.await_completed(asked)
            process.kill()
        log.close()
        return asked

    return strike


def _crowd(site: Site, random: np.random.Generator) -> Sequence[Asked]:
    """Thirty requests to three replicas at once, while one worker, one beat and one replica are killed."""
    site.start_worker("worker2")
    site.start_beat("beat2")
    site.start_web("web2")
    site.start_web("web3")
    with ThreadPoolExecutor(6) as callers:
        replicas = ("web", "web3")
        answers = [callers.submit(site.ask, site.someone(), None, replicas[number % 2]) for number in range(30)]
        for victim in ("worker2", "beat2", "web2"):
            pause(float(random.uniform(0, 1)))
            site.kill(victim)
        asked = [answer.result() for answer in answers]
    pause(REPLICA_TIMEOUT_S)
    return asked


def _poison(way: str) -> Strike:
    """Let one of nine requests be the end of every run it is in, until its cause is mended."""

    def strike(site: Site, _: np.random.Generator) -> Sequence[Asked]:
        site.send("worker", signal.SIGSTOP)
        asked = site.ask_some(9)
        site.kill("worker")
        await_isolated(site, way, asked, 4, within_s=3 * PATIENCE_S)
        return asked

    return strike


def _said(site: Site, name: str) -> set[str]:
    """The events in the log of the process that last had the name."""
    return {str(event.get("event")) for event in events(sorted(site.logs.glob(f"*-{name}.log"))[-1])}
