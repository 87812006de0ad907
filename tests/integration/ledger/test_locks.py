"""Who waits for a lock holds none that another will ask for: the moves that once waited in a circle."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from ledger import requests, sweep
from ledger.database import unit_of_work
from ledger.states import lock_in_order

if TYPE_CHECKING:
    from uuid import UUID

    from tests.integration.ledger.conftest import Scene

TENANT = "shop"
PATIENCE_S = 10.0
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def when_waiting(scene: Scene, move: Callable[[], object], threads: ThreadPoolExecutor) -> Future[object]:
    """Begin a move and return once it waits for a lock."""
    begun = threads.submit(move)
    until = time.monotonic() + PATIENCE_S
    while not scene.ask(WAITING):
        assert not begun.done(), "it waited for nothing"
        assert time.monotonic() < until, "it neither waits nor ends"
        time.sleep(0.01)
    return begun


def hold_one_then_both(scene: Scene, first: UUID, both: list[UUID], move: Callable[[], object]) -> None:
    """Lock the older request, let the move begin, then lock the younger too: what another run does that takes both."""
    with ThreadPoolExecutor(1) as threads:
        with unit_of_work(scene.database) as session:
            lock_in_order(session, [first])
            begun = when_waiting(scene, move, threads)
            lock_in_order(session, both)
        begun.result()


@pytest.fixture
def stocked(scene: Scene) -> Scene:
    """Two models."""
    for model in ("main", "other"):
        scene.train(model)
    return scene


def test_a_lease_that_gives_back_a_silent_runs_requests_holds_none_while_it_waits_for_an_older(stocked: Scene) -> None:
    older = stocked.record("anna")
    stocked.sql("UPDATE deletion_requests SET next_attempt_at = now() + interval '1 h'")
    younger = stocked.record("bert")
    silent = stocked.take()
    assert silent.request_ids == (younger,)
    stocked.let_expire(silent)
    stocked.rest()
    hold_one_then_both(stocked, older, [older, younger], lambda: stocked.lease(owner="another"))
    assert stocked.ask("SELECT count(*) FROM request_models WHERE state = 'leased'") >= 1


@pytest.mark.parametrize("models", [("main", "other"), ("other", "main")])
def test_a_sweep_that_ends_two_silent_runs_locks_the_requests_of_both_at_once(
    stocked: Scene, models: tuple[str, str]
) -> None:
    older, younger = stocked.record("anna"), stocked.record("bert")
    taken = {model: stocked.take(model) for model in ("main", "other")}
    for model, kept in zip(models, (younger, older), strict=True):
        stocked.sql(
            "UPDATE request_models SET state = 'pending', run_id = NULL WHERE model = :model AND request_id <> :kept",
            model=model,
            kept=kept,
        )
        stocked.let_expire(taken[model])

    def expire() -> None:
        with unit_of_work(stocked.database) as session:
            assert len(sweep.expire_leases(session)) == 2

    hold_one_then_both(stocked, older, [older, younger], expire)
    assert stocked.ask("SELECT count(*) FROM request_models WHERE state = 'leased'") == 0


def test_a_publish_waits_for_a_request_before_it_deletes_a_row(stocked: Scene) -> None:
    asked = stocked.record("anna")
    lease = stocked.take()
    with ThreadPoolExecutor(1) as threads:
        with unit_of_work(stocked.database) as session:
            lock_in_order(session, [asked])
            begun = when_waiting(stocked, lambda: stocked.publish(lease), threads)
            assert stocked.count("anna")
        begun.result()
    assert not stocked.count("anna")


def test_a_lease_waits_for_a_cancellation_and_leaves_its_request_out(stocked: Scene) -> None:
    cancelled, kept = stocked.record("anna"), stocked.record("bert")
    with ThreadPoolExecutor(1) as threads:
        with unit_of_work(stocked.database) as session:
            requests.cancel(session, TENANT, cancelled)
            leased = when_waiting(stocked, stocked.take, threads)
        lease = leased.result()
    assert getattr(lease, "request_ids", None) == (kept,)
