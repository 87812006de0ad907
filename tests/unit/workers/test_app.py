"""The Celery application's settings that others have learned the hard way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery

from ledger.doorbell import QUEUE, SWEEP, VISIBILITY_TIMEOUT_S
from workers.app import create_app
from workers.settings import WorkerSettings


@pytest.fixture
def app(tmp_path: Path) -> Celery:
    return create_app(
        WorkerSettings(
            database_url="postgresql://nowhere/none",
            broker_url="redis://nowhere/0",
            snapshot_dir=tmp_path,
            secrets_dir=tmp_path,
            worker_sweep_s=3,
        )
    )


def test_the_visibility_timeout_is_the_same_in_all_three_places_and_in_the_doorbell(app: Celery) -> None:
    assert app.conf.broker_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT_S
    assert app.conf.result_backend_transport_options["visibility_timeout"] == VISIBILITY_TIMEOUT_S
    assert app.conf.visibility_timeout == VISIBILITY_TIMEOUT_S


def test_a_ring_holds_no_date_that_a_worker_with_a_wrong_clock_could_find_past(app: Celery) -> None:
    (entry,) = app.conf.beat_schedule.values()
    assert entry == {"task": SWEEP, "schedule": 3, "options": {"queue": QUEUE}}


def test_one_task_at_a_time_and_nothing_kept_in_the_broker(app: Celery) -> None:
    assert app.conf.worker_pool == "solo"
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_ignore_result
    assert app.conf.result_backend is None


def test_beat_does_without_torch_and_without_a_pickle_on_disk(app: Celery) -> None:
    assert app.conf.beat_scheduler == "celery.beat:Scheduler"
    imported = "import sys, workers.app, workers.__main__; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", imported], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
