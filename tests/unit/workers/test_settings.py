"""What a worker accepts as settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from workers.settings import WorkerSettings


@pytest.fixture
def needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALTERASER_DATABASE_URL", "postgresql://nowhere/none")
    monkeypatch.setenv("ALTERASER_BROKER_URL", "redis://nowhere/0")
    monkeypatch.setenv("ALTERASER_SNAPSHOT_DIR", str(tmp_path))
    monkeypatch.setenv("ALTERASER_SECRETS_DIR", str(tmp_path))


@pytest.mark.usefixtures("needed")
def test_a_lease_can_be_set_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALTERASER_WORKER_LEASE_S", "2")
    assert WorkerSettings().worker_lease_s == 2


@pytest.mark.usefixtures("needed")
def test_a_misspelt_worker_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALTERASER_WORKER_LEASES", "2")
    with pytest.raises(ValidationError, match="ALTERASER_WORKER_LEASES"):
        WorkerSettings()


@pytest.mark.usefixtures("needed")
def test_a_setting_of_the_service_is_left_to_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALTERASER_SERVICE_PORT", "80")
    assert WorkerSettings().worker_sweep_s == 2


@pytest.mark.usefixtures("needed")
@pytest.mark.parametrize(
    ("name", "value"),
    [("LEASE_S", "0"), ("TOLERANCE", "1"), ("ACCURACY_BOUND", "-1"), ("THREADS", "0"), ("DEVICE", "toaster")],
)
def test_a_value_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"ALTERASER_WORKER_{name}", value)
    with pytest.raises(ValidationError, match=f"worker_{name.lower()}"):
        WorkerSettings()


def test_every_setting_says_what_it_is() -> None:
    fields = WorkerSettings.model_fields
    assert [name for name, field in fields.items() if not field.description] == []
