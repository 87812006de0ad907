"""A real Prometheus scrapes a real deployment with the shipped configuration, and the overdue alert fires and ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from sqlalchemy import text

from ledger.database import unit_of_work
from tests.processes import wait_until
from tests.trained_stack import TrainedStack, trained_stack

pytestmark = pytest.mark.prometheus

SHIPPED = Path("observability/prometheus").absolute()
OVERDUE = "AlteraserDeletionOverdue"


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def ask(self, path: str, **query: str) -> Any:
        return httpx.get(f"{self.url}/api/v1/{path}", params=query).raise_for_status().json()["data"]

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").is_success
        except httpx.TransportError:
            return False

    def health(self) -> list[str]:
        return [target["health"] for target in self.ask("targets")["activeTargets"]]

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}

    def value(self, query: str) -> float:
        ((_, value),) = [each["value"] for each in self.ask("query", query=query)["result"]]
        return float(value)


def configured(folder: Path, target: str, key: str) -> Path:
    """The shipped configuration, but for where the web process is, where the key lies, and how often it looks."""
    (folder / "ops.key").write_text(key)
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(config["global"], "1s")
    config["rule_files"] = [str(SHIPPED / name) for name in config["rule_files"]]
    (scrape,) = config["scrape_configs"]
    del scrape["dns_sd_configs"]
    scrape["static_configs"] = [{"targets": [target]}]
    scrape["authorization"]["credentials_file"] = str(folder / "ops.key")
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


@contextmanager
def prometheus(folder: Path, target: str, key: str) -> Iterator[Prometheus]:
    """Run Prometheus on the target."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.fail("prometheus is not on PATH")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = configured(folder, target, key)
    options = {"config.file": config, "storage.tsdb.path": folder / "data", "web.listen-address": address}
    command = [binary, *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        started = Prometheus(f"http://{address}")
        wait_until(started.is_ready, within_s=60)
        yield started
    finally:
        process.terminate()
        process.wait()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process stand still while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def make_overdue(deployment: TrainedStack) -> None:
    with unit_of_work(deployment.database) as session:
        session.execute(text("UPDATE deletion_requests SET due_at = now() - interval '1 s'"))


def test_the_overdue_alert_fires_and_ends_with_the_deletion(tmp_path: Path) -> None:
    with trained_stack(tmp_path / "home") as deployment:
        target = deployment.stack.url.removeprefix("http://")
        with prometheus(tmp_path, target, deployment.key("ops:read")) as watching:
            wait_until(lambda: watching.health() == ["up"], within_s=30)
            assert watching.value("alteraser_ledger_up") == 1
            with stopped(deployment.stack.supervisor.pids()["worker"]):
                path = deployment.ask()
                make_overdue(deployment)
                wait_until(lambda: OVERDUE in watching.firing(), within_s=60)
                assert watching.value("max(alteraser_deletion_requests_overdue)") == 1
            done = deployment.caller.get(path, params={"wait": 60}).raise_for_status().json()
            assert done["state"] == "completed"
            wait_until(lambda: OVERDUE not in watching.firing(), within_s=60)


def test_a_wrong_key_leaves_the_target_down(tmp_path: Path) -> None:
    with (
        trained_stack(tmp_path / "home") as deployment,
        prometheus(tmp_path, deployment.stack.url.removeprefix("http://"), "ak_wrong") as watching,
    ):
        wait_until(lambda: watching.health() == ["down"], within_s=30)
        assert watching.value("up") == 0
