"""The sweep: whatever a lost message or a dead worker left waiting goes on."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
import redis
import structlog
from sqlalchemy import func, update

from ledger import requests
from ledger.database import unit_of_work
from ledger.doorbell import QUEUE, redis_url
from ledger.tables import DeletionRequest, Run
from workers.leasing import take_lease
from workers.pipeline import run_once
from workers.sweep import OverdueAlarm, sweep_once
from workers.workbench import Workbench

MODEL = "main"


def state(workbench: Workbench, request_id: UUID) -> str:
    with unit_of_work(workbench.database) as session:
        return requests.get(session, "acme", request_id).state


def rings(workbench: Workbench) -> int:
    with redis.Redis.from_url(redis_url(workbench.settings.broker_url)) as client:
        return int(client.llen(QUEUE))


def test_a_lost_doorbell_is_rung_again(trained: Workbench, ask: Callable[..., UUID]) -> None:
    ask(user="7")
    sweep_once(trained)
    assert rings(trained) == 1


def test_nobody_is_rung_where_nothing_waits(trained: Workbench) -> None:
    sweep_once(trained)
    assert rings(trained) == 0


def test_the_requests_of_a_dead_worker_are_taken_over(trained: Workbench, ask: Callable[..., UUID]) -> None:
    request_id = ask(user="7")
    take_lease(trained, MODEL)
    assert state(trained, request_id) == "in_progress"
    with unit_of_work(trained.database) as session:
        session.execute(update(Run).values(lease_expires_at=func.clock_timestamp()))

    sweep_once(trained)
    assert state(trained, request_id) == "pending"
    assert rings(trained) == 1
    assert run_once(trained, MODEL) is not None
    assert state(trained, request_id) == "unlearned"


def test_a_failed_request_is_tried_again_when_its_pause_is_over(trained: Workbench, ask: Callable[..., UUID]) -> None:
    request_id = ask(user="7")
    with pytest.raises(Exception, match="nothing passed"):
        run_once(trained, MODEL, {})
    sweep_once(trained)
    assert state(trained, request_id) == "failed"
    assert rings(trained) == 0

    with unit_of_work(trained.database) as session:
        session.execute(update(DeletionRequest).values(next_attempt_at=func.clock_timestamp()))
    sweep_once(trained)
    assert state(trained, request_id) == "pending"
    assert rings(trained) == 1


def test_a_missing_broker_does_not_stop_the_sweep(
    trained: Workbench, ask: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = ask(user="7")
    run_once(trained, MODEL)
    ask(user="9")
    monkeypatch.setattr(trained.doorbell, "ring", lambda _: False)
    sweep_once(trained)
    assert state(trained, request_id) == "completed"


def test_overdue_requests_are_logged_when_their_number_changes(trained: Workbench, ask: Callable[..., UUID]) -> None:
    ask(user="7")
    with unit_of_work(trained.database) as session:
        session.execute(update(DeletionRequest).values(due_at=func.clock_timestamp()))
    alarm = OverdueAlarm()
    with structlog.testing.capture_logs() as logged:
        alarm(trained)
        alarm(trained)
    assert logged == [{"event": "overdue_requests_counted", "requests": 1, "log_level": "warning"}]
