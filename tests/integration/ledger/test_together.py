"""Everyone at once: threads that record, cancel, work, serve and complete, and what must hold afterwards."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from ledger import requests, sweep
from ledger.database import unit_of_work
from ledger.errors import LedgerError

if TYPE_CHECKING:
    from tests.integration.ledger.conftest import Scene

BUSY_S = 3.0
REST_S = 15.0
MODELS = ("main", "other")
PEOPLE = tuple(f"user-{n}" for n in range(40))


def record(scene: Scene, dice: random.Random) -> None:
    scene.record(dice.choice(PEOPLE))


def cancel(scene: Scene, dice: random.Random) -> None:
    with unit_of_work(scene.database) as session:
        pending = requests.page(session, "shop", state="pending").requests
    if pending:
        scene.cancel(dice.choice(pending).id)


def work(scene: Scene, dice: random.Random) -> None:
    lease = scene.lease(dice.choice(MODELS))
    if lease is None:
        return
    end = dice.choice((scene.publish, scene.publish, scene.fail, scene.let_expire))
    end(lease)


def serve(scene: Scene, dice: random.Random) -> None:
    model = dice.choice(MODELS)
    scene.acknowledge(scene.ask("SELECT current FROM models WHERE name = :model", model=model), model)


def tidy(scene: Scene, dice: random.Random) -> None:
    del dice
    for step in (sweep.expire_leases, sweep.retry_failed, sweep.settle_untrained):
        with unit_of_work(scene.database) as session:
            step(session)
    with unit_of_work(scene.database) as session:
        sweep.suppress_without_replicas(session, 10.0)
    scene.destroy()
    for request_id in scene.completable():
        scene.complete(request_id)


def keep_doing(scene: Scene, move: Callable[[Scene, random.Random], None], seed: int, until: float) -> None:
    """Repeat a move; only the ledger's own refusals are allowed, never a deadlock."""
    dice = random.Random(seed)  # noqa: S311
    while time.monotonic() < until:
        try:
            move(scene, dice)
        except LedgerError:
            continue


def finish(scene: Scene) -> None:
    """Let quiet work end whatever is open."""
    until = time.monotonic() + REST_S
    while scene.ask("SELECT count(*) FROM deletion_requests WHERE state NOT IN ('completed', 'cancelled')"):
        assert time.monotonic() < until, "requests were left behind"
        scene.rest()
        for model in MODELS:
            lease = scene.lease(model)
            if lease is not None:
                scene.publish(lease)
            serve(scene, random.Random(MODELS.index(model)))  # noqa: S311
        tidy(scene, random.Random())  # noqa: S311


@pytest.fixture
def ended(scene: Scene) -> Scene:
    """Seconds of everyone at once, then quiet until every request has ended."""
    scene.stock((user, film) for user in PEOPLE for film in ("alien", "brazil"))
    for model in MODELS:
        scene.train(model)
    moves = (record, record, cancel, work, work, serve, serve, tidy, tidy)
    until = time.monotonic() + BUSY_S
    with ThreadPoolExecutor(len(moves)) as threads:
        busy = [threads.submit(keep_doing, scene, move, seed, until) for seed, move in enumerate(moves)]
        for thread in busy:
            thread.result()
    finish(scene)
    return scene


def test_everyone_at_once_neither_deadlocks_nor_leaves_anything_undone(ended: Scene) -> None:
    completed = ended.ask("SELECT array_agg(id) FROM deletion_requests WHERE state = 'completed'")
    assert completed
    assert all(isinstance(request_id, UUID) for request_id in completed)
    assert ended.ask("SELECT count(*) FROM receipts") == len(completed)
    assert ended.ask("SELECT count(*) FROM runs WHERE state = 'live'") == 0
    assert ended.ask("SELECT count(*) FROM deletion_requests WHERE subject IS NOT NULL") == 0
    assert ended.ask("SELECT count(*) FROM erasures WHERE active") == 0
    assert ended.suppressed() == set()
    falls = (
        "SELECT count(*) FROM snapshots AS later JOIN snapshots AS earlier USING (model) "
        "WHERE later.version = earlier.version + 1 AND later.watermark < earlier.watermark"
    )
    assert ended.ask(falls) == 0
    held = (
        "SELECT count(*) FROM snapshots JOIN request_models USING (model) "
        "JOIN deletion_requests ON deletion_requests.id = request_id "
        "WHERE deletion_requests.state = 'completed' AND snapshots.version < request_models.version "
        "AND destroyed_at IS NULL"
    )
    assert ended.ask(held) == 0
    out_of_order = (
        "SELECT count(*) FROM deletion_requests WHERE state = 'completed' AND NOT "
        "(recorded_at < suppressed_at AND suppressed_at < completed_at "
        "AND recorded_at < unlearned_at AND unlearned_at < completed_at)"
    )
    assert ended.ask(out_of_order) == 0
