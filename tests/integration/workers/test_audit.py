"""`alteraser audit` lists what is left of somebody, and says so when nothing is."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import redis
from rich.console import Console

from alteraser.snapshot import USERS
from cli.audit import audit
from cli.deployment import Deployment
from ledger.doorbell import redis_url
from ledger.errors import RequestNotFound
from ledger.journal_lines import forgotten
from workers.certificates import certify_published
from workers.completion import complete_ready
from workers.pipeline import run_once
from workers.workbench import Workbench

MODEL = "main"
USER = "7"


@pytest.fixture
def deployment(trained: Workbench) -> Deployment:
    settings = trained.settings
    return Deployment(settings.database_url, settings.broker_url, str(settings.snapshot_dir), str(settings.secrets_dir))


def said(deployment: Deployment, sought: str | UUID, *files: Path) -> tuple[bool, str]:
    """Whether nothing is left, and what was printed."""
    printed = io.StringIO()
    return audit(Console(file=printed, width=200), deployment, sought, files=files), printed.getvalue()


def forget(workbench: Workbench, swap: Callable[[], None]) -> None:
    """Do what the workers and the replica do."""
    run_once(workbench, MODEL)
    swap()
    certify_published(workbench)
    assert complete_ready(workbench) == 1


def test_before_a_deletion_every_place_is_listed_and_afterwards_none(
    trained: Workbench, deployment: Deployment, ask: Callable[..., UUID], swap: Callable[[], None]
) -> None:
    request_id = ask(user=USER)
    by_id, by_request = said(deployment, USER), said(deployment, request_id)
    assert not by_id[0]
    assert not by_request[0]
    assert "database: interactions.user_id" in by_id[1]
    assert "database: deletion_requests.subject" in by_id[1]
    for _, printed in (by_id, by_request):
        assert f"/{USERS}: 1" in printed
    forget(trained, swap)
    for sought in (USER, request_id):
        is_clean, printed = said(deployment, sought)
        assert is_clean, printed
        assert "backups" in printed


def test_a_folder_half_written_and_one_that_cannot_be_read_are_listed(
    trained: Workbench, deployment: Deployment
) -> None:
    gone = "was-here-once"
    for name, content in ((".writing-1", json.dumps([gone])), (".destroyed-2", '["cut o')):
        (trained.snapshots / name).mkdir()
        (trained.snapshots / name / USERS).write_text(content)
    is_clean, printed = said(deployment, gone)
    assert not is_clean
    assert f"snapshots: .writing-1/{USERS}: 1" in printed
    assert f"snapshots: .destroyed-2/{USERS} cannot be read" in printed


def test_the_broker_is_searched_for_the_id_as_a_word(trained: Workbench, deployment: Deployment) -> None:
    with redis.Redis.from_url(redis_url(trained.settings.broker_url)) as client:
        client.rpush("a-list", b'{"count": 1042}')
        assert said(deployment, "never-seen-104")[0]
        client.rpush("a-list", b'{"who": "never-seen-104"}')
    is_clean, printed = said(deployment, "never-seen-104")
    assert not is_clean
    assert "broker: keys: 1" in printed


def test_files_and_folders_one_names_are_searched_line_by_line(
    trained: Workbench, deployment: Deployment, tmp_path: Path
) -> None:
    gone = "was-here-once"
    logs, journal = tmp_path / "logs", trained.journal.path
    trained.journal.append([forgotten("user", "a-pseudonym")])
    (logs / "old").mkdir(parents=True)
    (logs / "web.log").write_text('{"event": "request_answered", "path": "/v1/users/was-here-once-2/"}\n')
    is_clean, printed = said(deployment, gone, logs, journal)
    assert is_clean, printed
    (logs / "proxy.log").write_text("GET /v1/users/was-here-once/recommendations 200\nGET / 200\n")
    (logs / "old" / "proxy.log.gz").write_bytes(gzip.compress(b"user=was-here-once\n" * 3))
    (logs / "old" / "cut.gz").write_bytes(gzip.compress(b"nothing")[:-4])
    is_clean, printed = said(deployment, gone, logs, journal, tmp_path / "missing.log")
    assert not is_clean
    assert f"file: {logs / 'proxy.log'}: 1" in printed
    assert f"file: {logs / 'old' / 'proxy.log.gz'}: 3" in printed
    assert f"file: {logs / 'old' / 'cut.gz'} cannot be read" in printed
    assert f"file: {tmp_path / 'missing.log'} cannot be read" in printed


def test_what_is_printed_never_holds_the_id(trained: Workbench, deployment: Deployment) -> None:
    somebody = "a-very-private-name"
    (trained.snapshots / ".writing-1").mkdir()
    (trained.snapshots / ".writing-1" / USERS).write_text(json.dumps([somebody]))
    assert somebody not in said(deployment, somebody)[1]


def test_an_unknown_request_is_refused(deployment: Deployment) -> None:
    with pytest.raises(RequestNotFound):
        said(deployment, uuid4())
