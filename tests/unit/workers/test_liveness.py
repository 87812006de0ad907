"""A process shows that it gets on, and until when that is to be believed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workers.liveness import Liveness, overdue_s, silence_s


def judged(file: Path) -> subprocess.CompletedProcess[str]:
    """What a container's health check is told."""
    return subprocess.run([sys.executable, "-m", "workers.liveness", str(file)], capture_output=True, text=True)


def test_a_process_gets_on_for_as_long_as_its_last_sign_is_good(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    Liveness(file).beat(60.0)
    healthy = judged(file)
    assert (healthy.returncode, healthy.stdout) == (0, "gets on\n")
    Liveness(file).beat(-30.0)
    still = judged(file)
    assert (still.returncode, still.stdout) == (1, "stands still for 30 s\n")


def test_a_process_that_never_gave_a_sign_does_not_get_on(tmp_path: Path) -> None:
    assert overdue_s(tmp_path / "nothing") == float("inf")
    assert judged(tmp_path / "nothing").returncode == 1


def test_where_nobody_looks_nothing_is_written(tmp_path: Path) -> None:
    Liveness(None).beat(60.0)
    assert not list(tmp_path.iterdir())


def test_a_process_may_miss_some_sweeps_and_is_given_some_seconds() -> None:
    assert silence_s(0.1) == 5.0
    assert silence_s(10.0) == 50.0


def test_a_sign_is_never_taken_back_while_it_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "alive"
    Liveness(file).beat(60.0)
    seen: list[float] = []
    monkeypatch.setattr("workers.liveness.os.utime", lambda *_: seen.append(overdue_s(file)))
    Liveness(file).beat(60.0)
    assert seen[0] < 0


def test_a_file_that_cannot_be_written_does_not_stop_the_work(tmp_path: Path) -> None:
    Liveness(tmp_path / "nowhere" / "alive").beat(60.0)
    assert judged(tmp_path / "nowhere" / "alive").returncode == 1
