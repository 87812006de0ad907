"""The embedded servers start, stop, come back, and never outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import psycopg
import pytest
import redis

from cli.embedded import (
    EmbeddedPostgres,
    EmbeddedValkey,
    FolderInUse,
    FolderUnwritable,
    ServerFailed,
)
from ledger.doorbell import redis_url

PARENT = """
import sys, time
from pathlib import Path
from cli.embedded import EmbeddedPostgres, EmbeddedValkey
folder = Path(sys.argv[1])
with EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey"):
    print("started", flush=True)
    if sys.argv[2] == "raise":
        raise RuntimeError
    time.sleep(60)
"""
REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 20.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="alteraser-") as name:
        yield Path(name)


def connect(server: EmbeddedPostgres) -> psycopg.Connection:
    return psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True)


def started_parent(folder: Path, then: str = "wait") -> subprocess.Popen[str]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), then],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    output: IO[str] | None = parent.stdout
    assert output is not None
    assert output.readline() == "started\n"
    output.close()
    return parent


def servers_of(folder: Path) -> list[int]:
    """The processes whose command line names the folder, besides the parent's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if str(folder) in command and PARENT not in command:
            found.append(int(entry.name))
    return found


def await_no_servers(folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while servers_of(folder):
        assert time.monotonic() < deadline, "a server outlived its parent"
        time.sleep(0.05)


def test_postgres_keeps_its_data_across_restarts(folder: Path) -> None:
    for restart in range(2):
        with EmbeddedPostgres(folder) as server, connect(server) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
            connection.execute("INSERT INTO kept VALUES (1)")
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (restart + 1,)
    assert servers_of(folder) == []


def test_a_server_object_can_be_started_twice(folder: Path) -> None:
    server = EmbeddedValkey(folder)
    for _ in range(2):
        with server, redis.Redis.from_url(redis_url(server.url)) as client:
            assert client.ping()


def test_valkey_never_drops_a_message_for_want_of_memory(folder: Path) -> None:
    with EmbeddedValkey(folder) as server, redis.Redis.from_url(redis_url(server.url)) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("port") == {"port": "0"}


def test_nobody_else_reaches_postgres(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server, connect(server) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert (folder / ".s.PGSQL.5432").stat().st_mode & 0o077 == 0


def test_the_log_of_postgres_keeps_no_identities(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server, connect(server) as connection:
        connection.execute("CREATE TABLE users (id text PRIMARY KEY)")
        connection.execute("INSERT INTO users VALUES ('a-secret-name')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO users VALUES ('a-secret-name')")
    log = (folder / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "a-secret-name" not in log


def test_a_folder_with_a_long_path_gets_a_short_socket(folder: Path) -> None:
    long = folder / ("deep" * 30)
    with EmbeddedPostgres(long / "postgres") as server, connect(server) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with EmbeddedValkey(long / "valkey") as valkey, redis.Redis.from_url(redis_url(valkey.url)) as client:
        assert client.ping()
        short = Path(valkey.url.removeprefix("redis+socket://")).parent
    assert not short.exists()


def test_a_folder_in_use_is_refused(folder: Path) -> None:
    with EmbeddedValkey(folder), pytest.raises(FolderInUse, match="in use"):
        EmbeddedValkey(folder).__enter__()


def test_a_folder_that_cannot_be_written_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    for server in (EmbeddedPostgres(folder / "file"), EmbeddedValkey(folder / "file" / "below")):
        with pytest.raises(FolderUnwritable, match="choose another folder"):
            server.__enter__()


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_refused(folder: Path) -> None:
    folder.chmod(0o500)
    with pytest.raises(FolderUnwritable, match="make it writable"):
        EmbeddedPostgres(folder / "postgres").__enter__()
    folder.chmod(0o700)


def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    with pytest.raises(ServerFailed, match="max_connections"):
        EmbeddedPostgres(folder, {"max_connections": "-1"}).__enter__()
    with EmbeddedPostgres(folder):
        pass


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_server_outlives_a_parent_that_is_killed(folder: Path, by: signal.Signals) -> None:
    parent = started_parent(folder)
    assert len(servers_of(folder)) >= 2
    parent.send_signal(by)
    parent.wait(PATIENCE_S)
    await_no_servers(folder)
    with EmbeddedPostgres(folder / "postgres"):
        pass


def test_no_server_outlives_a_parent_that_raises(folder: Path) -> None:
    parent = started_parent(folder, "raise")
    assert parent.wait(PATIENCE_S) == 1
    assert servers_of(folder) == []


def test_a_folder_left_by_a_killed_parent_can_be_used_at_once(folder: Path) -> None:
    parent = started_parent(folder)
    parent.kill()
    parent.wait()
    with EmbeddedPostgres(folder / "postgres") as server, connect(server) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
