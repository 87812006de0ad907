"""What the command line says when it cannot do what it was asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ledger import receipts

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALTERASER_")}


def alteraser(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command and wait for it."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *map(str, arguments)],
        env=ENVIRONMENT | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("command", [("import", "ratings.csv"), ("train",), ("keys", "list"), ("migrate",)])
def test_a_command_without_a_deployment_says_how_to_get_one(command: tuple[str, ...], tmp_path: Path) -> None:
    done = alteraser(*command, "--home", tmp_path / "home")
    assert done.returncode == 1
    assert "alteraser up" in done.stderr
    assert "ALTERASER_DATABASE_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_an_unknown_setting_is_named() -> None:
    done = alteraser("keys", "list", ALTERASER_DATABASE_URL="postgresql://h/d", ALTERASER_DATABSE="x")
    assert done.returncode == 1
    assert "ALTERASER_DATABSE" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_does_not_answer_is_said_to(tmp_path: Path) -> None:
    settings = {
        "ALTERASER_DATABASE_URL": f"postgresql:///x?host={tmp_path}",
        "ALTERASER_BROKER_URL": "redis://localhost",
        "ALTERASER_SNAPSHOT_DIR": str(tmp_path),
        "ALTERASER_SECRETS_DIR": str(tmp_path),
    }
    done = alteraser("keys", "list", **settings)
    assert done.returncode == 1
    assert "the database does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_tables_that_were_never_made_point_to_migrate(empty_database_url: str, broker_url: str, tmp_path: Path) -> None:
    settings = {
        "ALTERASER_DATABASE_URL": empty_database_url,
        "ALTERASER_BROKER_URL": broker_url,
        "ALTERASER_SNAPSHOT_DIR": str(tmp_path),
        "ALTERASER_SECRETS_DIR": str(tmp_path),
    }
    refused = alteraser("keys", "list", **settings)
    assert refused.returncode == 1
    assert "alteraser migrate" in refused.stderr
    assert alteraser("migrate", **settings).returncode == 0
    assert alteraser("keys", "list", **settings).returncode == 0


@pytest.mark.parametrize("wrong", [("nonsense",), ("up", "--port", "70000"), ("demo", "--dataset", "ml-9")])
def test_wrong_usage_ends_with_exit_code_two(wrong: tuple[str, ...]) -> None:
    assert alteraser(*wrong).returncode == 2


def test_a_hyperparameter_without_a_value_is_refused(tmp_path: Path) -> None:
    settings = {"ALTERASER_DATABASE_URL": "postgresql://h/d", "ALTERASER_BROKER_URL": "redis://h"}
    folders = {"ALTERASER_SNAPSHOT_DIR": str(tmp_path), "ALTERASER_SECRETS_DIR": str(tmp_path)}
    done = alteraser("train", "--set", "d", **settings, **folders)
    assert done.returncode == 1
    assert "--set d=64" in done.stderr


def test_first_secrets_are_made_once(tmp_path: Path) -> None:
    made, again = (alteraser("secrets", tmp_path / "keys") for _ in range(2))
    assert (made.returncode, again.returncode) == (0, 0)
    assert "made new keys" in made.stdout
    assert "already" in again.stdout


def test_a_new_receipt_key_signs_from_now_on_and_the_old_one_still_verifies(tmp_path: Path) -> None:
    alteraser("secrets", tmp_path)
    claims = {"iss": "a", "jti": "b", "iat": 1, "sub": "c", "request_id": "d"}
    receipt = receipts.SigningKey.load(tmp_path).sign(claims)
    done = alteraser("secrets", tmp_path, "--new-receipt-key")
    new = receipts.SigningKey.load(tmp_path)
    assert new.kid in done.stdout
    assert receipts.verify(receipt, receipts.jwks(tmp_path)) == claims
    assert new.kid in {key["kid"] for key in receipts.jwks(tmp_path)["keys"]}


def test_where_there_is_no_key_none_is_replaced(tmp_path: Path) -> None:
    done = alteraser("secrets", tmp_path, "--new-receipt-key")
    assert done.returncode == 1
    assert not list(tmp_path.iterdir())


def test_a_secrets_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = alteraser("secrets", tmp_path / "file" / "keys")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
