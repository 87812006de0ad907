"""A worker knows when it is deaf: rings wait, it is idle, and it heard none for too long."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from time import sleep

import pytest

from ledger.doorbell import UNLEARN
from workers import hearing
from workers.hearing import Hearing
from workers.liveness import Liveness
from workers.workbench import Workbench


@pytest.fixture
def listener(workbench: Workbench) -> Hearing:
    made = Hearing(workbench.settings)
    made.silence_s = 0.0
    return made


def test_where_rings_wait_an_idle_worker_that_heard_none_is_deaf(workbench: Workbench, listener: Hearing) -> None:
    assert not listener.is_deaf()
    workbench.doorbell.ring(UNLEARN)
    assert listener.is_deaf()


def test_a_worker_at_work_is_not_deaf_however_long_it_takes(workbench: Workbench, listener: Hearing) -> None:
    workbench.doorbell.ring(UNLEARN)
    listener.begin()
    assert not listener.is_deaf()
    listener.end()
    assert listener.is_deaf()


def test_a_worker_that_heard_a_ring_a_moment_ago_is_not_deaf(workbench: Workbench) -> None:
    workbench.doorbell.ring(UNLEARN)
    assert not Hearing(workbench.settings).is_deaf()


def test_without_a_broker_nobody_is_deaf(workbench: Workbench, listener: Hearing) -> None:
    workbench.doorbell.ring(UNLEARN)
    listener.broker_url = "redis+socket:///nowhere/valkey.sock"
    assert not listener.is_deaf()


def test_an_idle_worker_that_could_hear_gets_on_and_a_deaf_one_does_not(
    workbench: Workbench, listener: Hearing, tmp_path: Path
) -> None:
    listener.liveness = Liveness(tmp_path / "alive")
    listener.silence_s = 0.01
    assert not listener.look()
    shown = (tmp_path / "alive").stat().st_mtime
    sleep(2 * listener.silence_s)
    workbench.doorbell.ring(UNLEARN)
    assert listener.look()
    assert (tmp_path / "alive").stat().st_mtime == shown


def test_a_worker_that_cannot_reach_the_broker_does_not_get_on(listener: Hearing, tmp_path: Path) -> None:
    listener.liveness = Liveness(tmp_path / "alive")
    listener.broker_url = "redis+socket:///nowhere/valkey.sock"
    listener.look()
    assert not (tmp_path / "alive").exists()


def test_a_deaf_worker_starts_again(workbench: Workbench, listener: Hearing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "LOOKS", 1)
    started = Event()
    workbench.doorbell.ring(UNLEARN)
    listener.watch(started.set)
    assert started.wait(10)
