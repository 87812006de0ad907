"""Child processes that live and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import supervisor as supervisor_module
from cli.errors import ProgramDied
from cli.supervisor import Program, Supervisor
from tests.processes import is_alive, wait_until

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(60)
"""
SUPERVISE = """
import sys
from pathlib import Path
from cli.supervisor import Program, Supervisor

supervisor = Supervisor()
supervisor.start(Program("sleeper", (sys.executable, "-c", "import time; time.sleep(60)"), Path(sys.argv[1])))
print(supervisor.pids()["sleeper"], flush=True)
supervisor.wait()
"""


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    running = Supervisor()
    yield running
    running.stop()


def test_a_program_that_ends_is_named_with_its_exit_code_and_the_end_of_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    command = (sys.executable, "-c", "print('first'); print('last words'); raise SystemExit(7)")
    supervisor.start(Program("sleeper", SLEEP, tmp_path / "sleeper.log"))
    supervisor.start(Program("failing", command, tmp_path / "failing.log"))
    with pytest.raises(ProgramDied, match="last words") as died:
        supervisor.wait()
    assert (died.value.name, died.value.exit_code) == ("failing", 7)


def test_stopping_ends_every_program(supervisor: Supervisor, tmp_path: Path) -> None:
    for name in ("one", "two"):
        supervisor.start(Program(name, SLEEP, tmp_path / f"{name}.log"))
    pids = supervisor.pids().values()
    supervisor.stop()
    assert not any(is_alive(pid) for pid in pids)


def test_a_program_deaf_to_sigterm_is_killed_after_the_grace_time(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_GRACE_S", 0.2)
    log = tmp_path / "deaf.log"
    supervisor.start(Program("deaf", (sys.executable, "-c", STUBBORN), log))
    wait_until(lambda: "deaf" in log.read_text())
    pid = supervisor.pids()["deaf"]
    supervisor.stop()
    assert not is_alive(pid)


def test_a_program_gets_the_environment_it_is_given(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "echo.log"
    command = (sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])")
    supervisor.start(Program("echo", command, log, {"OMP_NUM_THREADS": "1"}))
    wait_until(lambda: log.read_text() == "1\n")


def test_no_program_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISE, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid))


def test_a_log_is_appended_to_when_a_program_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    log = tmp_path / "echo.log"
    for _ in range(2):
        supervisor.start(Program("echo", (sys.executable, "-c", "print('here')"), log))
    deadline = time.monotonic() + 10
    while log.read_text().count("here") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert log.read_text().count("here") == 2
