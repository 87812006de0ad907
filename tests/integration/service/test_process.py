"""The web process as its operator meets it: started, refused, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import pytest

from ledger import api_keys
from ledger.database import connect, unit_of_work
from tests.processes import wait_until

if TYPE_CHECKING:
    from service.settings import ServiceSettings

COMMAND = [sys.executable, "-m", "service"]


def environment(settings: ServiceSettings, **more: str) -> dict[str, str]:
    told = ("database_url", "broker_url", "snapshot_dir", "secrets_dir")
    named = {f"ALTERASER_{name.upper()}": str(getattr(settings, name)) for name in told}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ALTERASER_")}
    return kept | named | {"OMP_NUM_THREADS": "1", "ALTERASER_SERVICE_PORT": "0"} | more


def refusal(environment: dict[str, str]) -> tuple[int, str]:
    """How a process that cannot start ends, and the one line it says."""
    ended = subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=60)
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    return ended.returncode, ended.stderr


@contextmanager
def running(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that listens, and its URL."""
    process = subprocess.Popen(COMMAND, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "web_started":
                yield process, f"http://127.0.0.1:{event['port']}"
                break
        process.stdout.close()
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    """Whether the process answers yet."""
    try:
        return httpx.get(f"{url}/livez").is_success
    except httpx.TransportError:
        return False


def test_a_process_starts_answers_and_stops_when_told(settings: ServiceSettings) -> None:
    with running(environment(settings)) as (process, url):
        wait_until(lambda: answers(url), within_s=30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)


def test_a_process_told_to_stop_is_unready_and_answers_until_its_callers_went_elsewhere(
    settings: ServiceSettings,
) -> None:
    with running(environment(settings, ALTERASER_SERVICE_DRAIN_S="2")) as (process, url):
        wait_until(lambda: answers(url), within_s=30)
        told_at = monotonic()
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not httpx.get(f"{url}/readyz").json()["checks"]["not_stopping"])
        while monotonic() - told_at < 1.5:
            assert httpx.get(f"{url}/livez").status_code == 200
        assert process.wait(20) in (0, -signal.SIGTERM)
        assert monotonic() - told_at > 2


def test_a_port_in_use_is_named_in_one_line(settings: ServiceSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = refusal(environment(settings, ALTERASER_SERVICE_PORT=str(port)))
    assert code == 2
    assert f"port {port} on 127.0.0.1 is in use" in said


def test_missing_secrets_are_named_in_one_line(settings: ServiceSettings) -> None:
    code, said = refusal(environment(settings, ALTERASER_SECRETS_DIR="/nowhere"))
    assert code == 2
    assert "/nowhere/subject.key" in said


def test_an_unknown_setting_is_named_in_one_line(settings: ServiceSettings) -> None:
    code, said = refusal(environment(settings, ALTERASER_SERVICE_PROT="8080"))
    assert code == 2
    assert "ALTERASER_SERVICE_PROT" in said


def test_a_wrong_setting_is_named_without_its_value(settings: ServiceSettings) -> None:
    code, said = refusal(environment(settings, ALTERASER_DATABASE_URL="mysql://root:hunter2@db/x"))
    assert code == 2
    assert "ALTERASER_DATABASE_URL" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(("trusted", "is_secure"), [("*", True), ("192.0.2.1", False)])
def test_behind_a_proxy_that_is_trusted_a_session_keeps_to_https(
    settings: ServiceSettings, trusted: str, is_secure: bool
) -> None:
    database = connect(settings.database_url)
    with unit_of_work(database) as session:
        token = api_keys.create(session, "shop", "test", ("ops:read",))
    database.close()
    with running(environment(settings, FORWARDED_ALLOW_IPS=trusted)) as (_, url):
        wait_until(lambda: answers(url), within_s=30)
        told = {"X-Forwarded-Proto": "https", "Sec-Fetch-Site": "same-origin"}
        answer = httpx.post(f"{url}/ops/session", data={"key": token}, headers=told)
    assert ("; Secure" in answer.headers["Set-Cookie"]) == is_secure
