"""`alteraser up`, as somebody types it: real processes, real signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from alteraser.synthetic import synthetic
from tests.processes import announced, descendants, is_alive, wait_until

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALTERASER_")}
STOPS_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Up:
    """A running `alteraser up` and what it printed."""

    process: subprocess.Popen[str]
    url: str
    key: str
    said: str

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOPS_WITHIN_S)

    def get(self, path: str) -> httpx.Response:
        """Ask the service with the key that was printed."""
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {self.key}"})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@contextmanager
def up(home: Path) -> Iterator[Up]:
    """Start it and read what it prints until it is ready; end it if the test has not."""
    command = [sys.executable, "-m", "cli", "up", "--home", str(home), "--port", "0"]
    with subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            ready = announced(process)
            yield Up(process, ready.url, ready.key, ready.said)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)


def alteraser(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run another command to its end."""
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)


def interactions_file(folder: Path) -> Path:
    """A hundred made-up users."""
    log = synthetic(n_users=100, n_items=60, n_interactions=1500, seed=1)
    path = folder / "small.csv"
    path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(log.users, log.items, strict=True)))
    return path


def test_up_serves_a_trained_model_and_survives_a_restart_on_its_folder(home: Path, tmp_path: Path) -> None:
    with up(home) as first:
        assert "alteraser import PATH" in first.said
        assert first.get("/readyz").status_code == 503
        imported = alteraser("import", interactions_file(tmp_path), "--home", home)
        assert imported.returncode == 0, imported.stderr
        trained = alteraser("train", "--set", "d=8", "--set", "saturate=0", "--home", home)
        assert trained.returncode == 0, trained.stderr
        wait_until(lambda: first.get("/readyz").is_success)
        before = first.get("/v1/users/1/recommendations").json()
        started = descendants(first.process.pid)
        assert first.stop() == 0
        assert not [pid for pid in started if is_alive(pid)]
    with up(home) as second:
        assert second.key == first.key
        assert "alteraser import PATH" not in second.said
        wait_until(lambda: second.get("/readyz").is_success)
        assert second.get("/v1/users/1/recommendations").json() == before
        assert second.stop(signal.SIGTERM) == 0


def test_nothing_is_left_when_up_is_killed_and_one_other_can_use_the_folder(home: Path) -> None:
    with up(home) as killed:
        started = descendants(killed.process.pid)
        assert len(started) >= 5
        killed.stop(signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in started), within_s=STOPS_WITHIN_S)
    with up(home) as again:
        third = alteraser("up", "--home", home, "--port", "0")
        assert third.returncode == 1
        assert "already running" in third.stderr
        assert again.get("/livez").is_success
        assert again.stop() == 0


def test_when_the_worker_dies_everything_stops_and_the_worker_is_named(home: Path) -> None:
    with up(home) as running:
        started = descendants(running.process.pid)
        worker = next(pid for pid in started if b"workers\0worker" in Path(f"/proc/{pid}/cmdline").read_bytes())
        os.kill(worker, signal.SIGKILL)
        assert running.process.wait(STOPS_WITHIN_S) == 1
        assert running.process.stdout is not None
        assert "error: worker ended with exit code -9" in running.process.stdout.read()
        assert not [pid for pid in started if is_alive(pid)]


def test_a_port_in_use_is_refused_before_anything_starts(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = alteraser("up", "--home", home, "--port", str(taken.getsockname()[1]))
    assert refused.returncode == 1
    assert "choose another port with --port" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (home / "postgres").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = alteraser("up", "--home", tmp_path / "file" / "home")
    assert refused.returncode == 1
    assert "choose another folder with --home" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders")
def test_a_read_only_folder_is_refused(home: Path) -> None:
    home.mkdir(mode=0o500)
    refused = alteraser("up", "--home", home)
    assert refused.returncode == 1
    assert "cannot write in" in refused.stderr
