"""The real parts every test may ask for: PostgreSQL, Valkey, secrets and the public datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
import redis
from psycopg import sql

import migrations
from cli.embedded import EmbeddedPostgres, EmbeddedValkey
from ledger.database import Database, connect
from ledger.doorbell import redis_url
from ledger.pseudonym import Pseudonyms
from ledger.receipts import SigningKey

TEMPLATE = "template_alteraser"
CARELESS = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}


@pytest.fixture(scope="session")
def server_dir() -> Iterator[Path]:
    """A folder for servers, outside pytest's own, which no other account may enter.

    Run by root, PostgreSQL belongs to another account.
    """
    with TemporaryDirectory(prefix="alteraser-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres(server_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL server whose template database is migrated."""
    with EmbeddedPostgres(server_dir / "postgres", CARELESS) as server:
        execute(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
        migrations.upgrade(server.url_of(TEMPLATE))
        yield server


@pytest.fixture(scope="session")
def valkey(server_dir: Path) -> Iterator[EmbeddedValkey]:
    """A Valkey server."""
    with EmbeddedValkey(server_dir / "valkey") as server:
        yield server


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database of its own without a table in it."""
    yield from fresh_database(postgres, "template1")


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a migrated database of its own."""
    yield from fresh_database(postgres, TEMPLATE)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A connected, migrated database of its own."""
    connected = connect(database_url)
    yield connected
    connected.close()


@pytest.fixture
def broker_url(valkey: EmbeddedValkey) -> str:
    """The URL of an empty broker."""
    with redis.Redis.from_url(redis_url(valkey.url)) as client:
        client.flushall()
    return valkey.url


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    """A folder with a subject key and a receipt key."""
    folder = tmp_path / "secrets"
    Pseudonyms.create(folder)
    SigningKey.create(folder)
    return folder


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of public datasets; a run that names none does without, one that names a wrong one fails."""
    named = os.environ.get("ALTERASER_DATA_DIR")
    if not named:
        pytest.skip("ALTERASER_DATA_DIR is not set")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"ALTERASER_DATA_DIR names no folder: {folder}")
    return folder


@pytest.fixture(scope="session")
def ml_100k(data_dir: Path) -> Path:
    """The folder of MovieLens-100K."""
    folder = data_dir / "ml-100k"
    if not (folder / "u.data").is_file():
        pytest.fail(f"MovieLens-100K is not in ALTERASER_DATA_DIR: {folder / 'u.data'} is missing")
    return folder


def fresh_database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    """Yield the URL of a copy of the template, and drop it afterwards whoever is still connected."""
    name = f"test_{uuid4().hex}"
    copied = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
    execute(server, copied.format(sql.Identifier(name), sql.Identifier(template)))
    yield server.url_of(name)
    execute(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def execute(server: EmbeddedPostgres, statement: sql.Composed) -> None:
    """Run one statement outside any transaction."""
    url = server.url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
