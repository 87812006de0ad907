"""Settings: read from the environment and from mounted files; anything unknown is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ledger import settings
from ledger.settings import SharedSettings

GIVEN = {
    "ALTERASER_DATABASE_URL": "postgresql://clerk:hunter2@db/ledger",
    "ALTERASER_BROKER_URL": "redis://:hunter2@broker/0",
    "ALTERASER_SNAPSHOT_DIR": "/snapshots",
    "ALTERASER_SECRETS_DIR": "/secrets",
}


class OneProcess(SharedSettings):
    """The settings of a process with a prefix of its own."""

    service_port: int = 8080


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALTERASER_DATA_DIR", raising=False)
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


def load(kind: type[SharedSettings] = SharedSettings) -> SharedSettings:
    return kind()


def test_settings_come_from_the_environment() -> None:
    assert load().snapshot_dir == Path("/snapshots")
    assert load().replica_timeout_s == 10.0


def test_passwords_are_never_shown() -> None:
    assert "hunter2" not in repr(load())


@pytest.mark.parametrize("name", ["ALTERASER_DATABSE_URL", "alteraser_typo"])
def test_an_unknown_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "a-secret-value")
    with pytest.raises(ValidationError, match=name) as refused:
        load()
    assert "a-secret-value" not in str(refused.value)


def test_the_names_of_another_process_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALTERASER_WORKER_LEASE_S", "30")
    monkeypatch.setenv("ALTERASER_SERVICE_PORT", "9090")
    load()
    assert load(OneProcess).model_dump()["service_port"] == 9090


def test_a_process_refuses_unknown_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALTERASER_SERVICE_PROT", "9090")
    load()
    with pytest.raises(ValidationError, match="ALTERASER_SERVICE_PROT"):
        load(OneProcess)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALTERASER_DATABASE_URL", "sqlite:///ledger"),
        ("ALTERASER_DATABASE_URL", "mysql://clerk:hunter2@db/ledger"),
        ("ALTERASER_BROKER_URL", "amqp://clerk:hunter2@broker"),
        ("ALTERASER_REPLICA_TIMEOUT_S", "0"),
        ("ALTERASER_DUE_DAYS", "-1"),
    ],
)
def test_an_impossible_value_is_refused_without_being_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as refused:
        load()
    assert "hunter2" not in str(refused.value)


def test_a_missing_value_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALTERASER_DATABASE_URL")
    with pytest.raises(ValidationError, match="database_url") as refused:
        load()
    assert "hunter2" not in str(refused.value)


def test_a_secret_may_be_a_mounted_file_and_a_variable_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "MOUNTED_SECRETS", tmp_path)
    (tmp_path / "alteraser_database_url").write_text("postgresql://from-file/ledger\n")
    (tmp_path / "alteraser_broker_url").write_text("redis://from-file/0")
    monkeypatch.delenv("ALTERASER_DATABASE_URL")
    assert load().database_url == "postgresql://from-file/ledger"
    assert load().broker_url == GIVEN["ALTERASER_BROKER_URL"]


def test_every_setting_says_what_it_does() -> None:
    for name, field in SharedSettings.model_fields.items():
        assert field.description, name
