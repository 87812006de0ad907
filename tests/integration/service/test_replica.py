"""A replica that follows the ledger through damage, outages and rollbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import make_url

from alteraser.snapshot import PARAMETERS
from ledger import recording
from ledger.database import unit_of_work
from ledger.recording import NewRequest
from tests.integration.service.conftest import MODEL, OTHER_USER, STRANGER, TENANT, USER
from workers.pipeline import run_once

if TYPE_CHECKING:
    from structlog.typing import EventDict

    from cli.embedded import EmbeddedPostgres
    from service.settings import ServiceSettings
    from tests.integration.service.conftest import Deployment


def eventually(holds: Callable[[], bool], within_s: float = 10) -> None:
    """Wait until it holds."""
    patient_until = monotonic() + within_s
    while not holds():
        assert monotonic() < patient_until, "it never came to hold"
        sleep(0.02)


def readiness(deployment: Deployment) -> tuple[int, dict[str, bool]]:
    answer = deployment.client.get("/readyz")
    return answer.status_code, answer.json()["checks"]


@contextmanager
def outage(postgres: EmbeddedPostgres, deployment: Deployment) -> Iterator[None]:
    """Let nobody into the deployment's database while the block runs, and throw out who is in."""
    name = make_url(deployment.settings.database_url).database
    server = postgres.url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())


def test_a_new_generation_is_swapped_in_and_acknowledged(deployment: Deployment) -> None:
    deployment.ask({"subject": USER})
    digest = deployment.unlearn()
    assert deployment.recommend(OTHER_USER).headers["Alteraser-Snapshot"] == digest
    assert deployment.recommend(OTHER_USER).headers["Alteraser-Model-Version"] == "2"
    acknowledged = "SELECT snapshot FROM replicas WHERE replica_id = :id"
    assert deployment.sql(acknowledged, id=deployment.parts.replica.id) == digest


def test_a_hint_is_enough_to_be_followed(
    start: Callable[[ServiceSettings], Deployment], settings: ServiceSettings
) -> None:
    patient = start(settings.model_copy(update={"service_poll_s": 5.0}))
    patient.train()
    patient.ask({"subject": USER})
    digest = run_once(patient.workbench, MODEL)
    eventually(lambda: patient.parts.replica.serving().digest == digest, within_s=4)


def test_without_hints_a_replica_polls(
    start: Callable[[ServiceSettings], Deployment], settings: ServiceSettings
) -> None:
    deaf = start(settings.model_copy(update={"broker_url": "redis+socket:///nowhere/valkey.sock"}))
    deaf.train()
    started_at = monotonic()
    assert deaf.ask({"subject": USER}).status_code == 201
    assert monotonic() - started_at < 2
    digest = run_once(deaf.workbench, MODEL)
    eventually(lambda: deaf.parts.replica.serving().digest == digest)


def test_a_damaged_snapshot_is_refused_and_the_old_one_served_on(
    deployment: Deployment, logged: list[EventDict]
) -> None:
    before = deployment.recommend(OTHER_USER)
    deployment.ask({"subject": USER})
    deployment.parts.follower.stop(10)
    digest = run_once(deployment.workbench, MODEL)
    assert digest is not None
    damage(deployment, digest)
    deployment.look()
    after = deployment.recommend(OTHER_USER)
    assert after.headers["Alteraser-Snapshot"] == before.headers["Alteraser-Snapshot"]
    assert after.content == before.content
    assert deployment.items(USER) == deployment.items(STRANGER)
    status, checks = readiness(deployment)
    assert (status, checks["snapshots_loaded"], checks["watermarks_satisfied"]) == (503, False, False)
    refusals = [event for event in logged if event["event"] == "snapshot_refused"]
    assert refusals
    assert refusals[0]["log_level"] == "error"
    assert refusals[0]["snapshot"] == digest


def damage(deployment: Deployment, digest: str) -> None:
    """Flip one bit of the snapshot's parameters."""
    file = deployment.settings.snapshot_dir / digest / PARAMETERS
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)


def test_a_snapshot_with_a_lower_watermark_is_refused(deployment: Deployment, logged: list[EventDict]) -> None:
    old = deployment.snapshot()
    first = deployment.parts.replica.serving().digest
    deployment.ask({"subject": USER})
    second = deployment.unlearn()
    rollback = "UPDATE models SET current = :digest, version = 1, watermark = :watermark"
    deployment.sql(rollback, digest=first, watermark=old.watermark)
    deployment.look()
    assert deployment.parts.replica.serving().digest == second
    assert deployment.items(USER) == deployment.items(STRANGER)
    assert readiness(deployment)[0] == 503
    assert any(event["event"] == "snapshot_refused" for event in logged)


def test_a_snapshot_that_breaks_its_pointers_promise_is_not_served(
    deployment: Deployment, start: Callable[[ServiceSettings], Deployment]
) -> None:
    deployment.sql("UPDATE models SET watermark = 1000000")
    late = start(deployment.settings)
    assert late.recommend(USER).status_code == 503
    status, checks = readiness(late)
    assert (status, checks["snapshots_loaded"]) == (503, False)
    eventually(lambda: readiness(deployment)[1]["watermarks_satisfied"] is False)


def test_an_outage_of_the_database_is_survived_and_logged_once(
    deployment: Deployment, postgres: EmbeddedPostgres, logged: list[EventDict]
) -> None:
    key = deployment.key()
    deployment.client.get("/v1/users/7/recommendations", headers=key).raise_for_status()
    with outage(postgres, deployment):
        eventually(lambda: any(event["event"] == "follow_failed" for event in logged))
        assert readiness(deployment)[1]["database"] is False
        refused = deployment.client.post("/v1/deletion-requests", json={"subject": USER}, headers=key)
        assert refused.status_code == 503
        assert refused.json()["type"].endswith("database-away")
        assert deployment.client.get("/livez").status_code == 200
        assert deployment.client.get("/v1/users/7/recommendations", headers=key).status_code == 200
        sleep(0.5)
    eventually(lambda: any(event["event"] == "follow_recovered" for event in logged))
    assert readiness(deployment)[0] == 200
    assert len([event for event in logged if event["event"] == "follow_failed"]) <= 2


def test_a_replica_that_lost_touch_with_the_ledger_knows_nobody(
    start: Callable[[ServiceSettings], Deployment], settings: ServiceSettings, postgres: EmbeddedPostgres
) -> None:
    hasty = start(settings.model_copy(update={"replica_timeout_s": 1.0}))
    hasty.train()
    key = hasty.key()

    def items(user: str) -> bytes:
        return hasty.client.get(f"/v1/users/{user}/recommendations", headers=key).raise_for_status().content

    assert items(USER) != items(STRANGER)
    with outage(postgres, hasty):
        eventually(lambda: not hasty.parts.replica.in_touch)
        assert items(USER) == items(STRANGER)
        assert readiness(hasty)[1]["ledger_followed"] is False
    eventually(lambda: items(USER) != items(STRANGER))


def test_a_deletion_another_process_took_in_is_obeyed_here(deployment: Deployment) -> None:
    with unit_of_work(deployment.database) as session:
        recording.record(session, NewRequest(TENANT, "subject", user=USER), deployment.parts.pseudonyms)
    eventually(lambda: deployment.items(USER) == deployment.items(STRANGER))


def test_a_request_counts_as_suppressed_when_the_last_replica_obeys(
    start: Callable[[ServiceSettings], Deployment], settings: ServiceSettings
) -> None:
    one, other = start(settings), start(settings)
    one.train()
    other.look()
    other.parts.follower.stop(10)
    other.look()
    link = one.ask({"subject": USER}).headers["Location"]
    assert one.client.get(link, headers=one.key()).json()["suppressed_at"] is None
    other.look()
    assert one.client.get(link, headers=one.key()).json()["suppressed_at"] is not None
    assert one.items(USER) == other.items(USER) == other.items(STRANGER)


def test_a_replica_that_stops_signs_off(deployment: Deployment) -> None:
    mine = "SELECT count(*) FROM replicas WHERE replica_id = :id"
    deployment.look()
    assert deployment.sql(mine, id=deployment.parts.replica.id) == 1
    deployment.parts.follower.stop(10)
    assert deployment.sql(mine, id=deployment.parts.replica.id) == 0


def test_a_replica_that_starts_late_serves_what_is_current(
    deployment: Deployment, start: Callable[[ServiceSettings], Deployment]
) -> None:
    deployment.ask({"subject": USER})
    late = start(deployment.settings)
    assert late.parts.replica.serving().digest == deployment.parts.replica.serving().digest
    assert late.items(USER) == late.items(STRANGER)
    assert late.items(OTHER_USER) == deployment.items(OTHER_USER)
