"""The deployment of `docker-compose.yml`, built and started under a name of its own, and a caller's view of it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import httpx

from alteraser.synthetic import synthetic
from tests.compose.engine import CommandFailed, Engine, find_compose
from tests.processes import wait_until

PATIENCE_S = 300.0
BUILT = ("service", "worker", "edge")
NEXT = "-next"
"""What the release after the one that is started first has behind its name."""
SMALL = ("--set", "d=16", "--set", "alpha0=0.3", "--set", "reg=0.02")
PSQL = ("psql", "-U", "alteraser", "-d", "alteraser", "-At")
STRANGER = "nobody-ever-saw-me"


@dataclass(slots=True)
class Stack:
    """A running deployment.

    Attributes:
        engine: What runs it.
        folder: A scratch folder on this side.
        release: Tag of the images of the release that was started first.
        key: An API key with every scope, once there is one.
        port: Where the edge listens, once it does.
    """

    engine: Engine
    folder: Path
    release: str
    key: str = ""
    port: int = 0
    _next_person: int = field(default=1, init=False)

    @property
    def url(self) -> str:
        """The deployment's one address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        """What every call carries."""
        return {"Authorization": f"Bearer {self.key}"}

    def someone(self) -> str:
        """A user whom nobody asked to forget yet."""
        self._next_person += 1
        return str(self._next_person)

    def build(self) -> None:
        """Build the images of both releases; they differ in what they call themselves."""
        for release in (self.release, self.release + NEXT):
            self.engine.run("build", *BUILT, RELEASE=release)

    def start(self, *words: str) -> None:
        """Start everything, and wait until whatever has a health check is healthy."""
        self.engine.run("up", "-d", *words)
        self.await_health()
        self.port = int(self.engine.run("port", "edge", "8080").rpartition(":")[2])

    def await_health(self) -> None:
        """Wait until every service is healthy."""
        for service in ("postgres", "redis", "worker", "beat", "service", "edge"):
            wait_until(lambda service=service: self._are_healthy(service), within_s=PATIENCE_S)  # type: ignore[misc]

    def _are_healthy(self, service: str) -> bool:
        with suppress(CommandFailed):  # one ended between the two calls
            states = [self.engine.inspect(container)["State"] for container in self.engine.ids(service)]
            return bool(states) and all(state["Health"]["Status"] == "healthy" for state in states)
        return False

    def cli(self, *words: str, given: str | None = None, mount: Path | None = None) -> str:
        """Run the `alteraser` command in the deployment."""
        volume = [] if mount is None else ["-v", f"{mount}:/data:ro"]
        return self.engine.run("run", "--rm", "--no-deps", "-T", *volume, "cli", *words, given=given)

    def fill(self) -> int:
        """Import interactions, train a model on them and make an API key; how many interactions."""
        path, n_rows = self._interactions()
        self.cli("import", f"/data/{path.name}", mount=path.parent)
        self.cli("train", *SMALL)
        self.key = self.cli("keys", "create", "--name", "compose-test").split()[-1]
        self.await_ready()
        return n_rows

    def _interactions(self) -> tuple[Path, int]:
        """MovieLens-100K where there is a data folder, else made-up people."""
        named = os.environ.get("ALTERASER_DATA_DIR")
        if named:
            path = Path(named).resolve() / "ml-100k" / "u.data"
            return path, len(path.read_text().splitlines())
        log = synthetic(n_users=943, n_items=800, n_interactions=50_000, seed=7)
        path = self.folder / "people.csv"
        path.write_text("user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(log.users, log.items, strict=True)))
        path.chmod(0o644)
        self.folder.chmod(0o755)
        return path, len(log)

    def await_ready(self) -> None:
        """Wait until the edge finds a replica that is ready."""
        wait_until(lambda: self.answers("/readyz"), within_s=PATIENCE_S)

    def answers(self, path: str) -> bool:
        """Whether a call succeeds."""
        try:
            return self.get(path).is_success
        except httpx.TransportError:
            return False

    def get(self, path: str) -> httpx.Response:
        """Call the deployment."""
        return httpx.get(self.url + path, headers=self.headers, timeout=60.0)

    def ask(self, subject: str) -> str:
        """Ask that somebody be forgotten; the id of the request. Asks again, under one key, until it is answered."""
        key = str(uuid4())
        patient_until = time.monotonic() + PATIENCE_S
        while True:
            with suppress(httpx.TransportError):
                answer = httpx.post(
                    f"{self.url}/v1/deletion-requests",
                    json={"subject": subject},
                    headers={**self.headers, "Idempotency-Key": key},
                    timeout=60.0,
                )
                assert not answer.is_client_error, answer.text
                if answer.is_success:
                    return str(answer.json()["id"])
            assert time.monotonic() < patient_until, "a deletion request was not answered"
            time.sleep(0.2)

    def state(self, request_id: str) -> str:
        """How a request stands; empty where nobody answers."""
        with suppress(httpx.TransportError):
            answer = self.get(f"/v1/deletion-requests/{request_id}")
            if answer.is_success:
                return str(answer.json()["state"])
        return ""

    def await_completed(self, request_id: str) -> None:
        """Wait until a request is completed."""
        wait_until(lambda: self.state(request_id) == "completed", within_s=PATIENCE_S)

    def recommended(self, user: str) -> list[str]:
        """The ids recommended to a user."""
        answer = self.get(f"/v1/users/{user}/recommendations").raise_for_status()
        return [each["item"] for each in answer.json()["items"]]

    def n_rows_of(self, user: str) -> int:
        """How many interactions of a user the database holds."""
        counted = dict(
            row.split("|") for row in self.rows("SELECT user_id, count(*) FROM interactions GROUP BY user_id")
        )
        return int(counted.get(user, 0))

    def rows(self, statement: str) -> list[str]:
        """The rows of a query, as text."""
        return self.engine.docker("exec", self.engine.ids("postgres")[0], *PSQL, "-c", statement).splitlines()

    def watch(self, *statements: str) -> subprocess.Popen[str]:
        """Start queries that wait for something, one after the other; back once the first is about to begin."""
        command = ["docker", "exec", self.engine.ids("postgres")[0], *PSQL, "-c", "SELECT 1"]
        command += [word for statement in statements for word in ("-c", statement)]
        watching = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert watching.stdout is not None
        watching.stdout.readline()
        return watching


@contextmanager
def stack() -> Iterator[Stack]:
    """A deployment that is not yet built; whatever there is of it at the end is removed.

    Raises:
        NoEngine: Nothing here runs containers.
    """
    name = f"alteraser-test-{uuid4().hex[:8]}"
    environment = {"RELEASE": name, "LISTEN": "127.0.0.1:", "COMPOSE_HTTP_TIMEOUT": "300"}
    engine = Engine(find_compose(), name, environment)
    with TemporaryDirectory(prefix=f"{name}-") as folder:
        made = Stack(engine, Path(folder), name)
        try:
            yield made
        finally:
            remove(made)


def remove(made: Stack) -> None:
    """Remove containers, networks, volumes and images, also of services that no profile has started."""
    with suppress(CommandFailed):
        made.engine.run("--profile", "observability", "--profile", "cli", "down", "-v", "--remove-orphans", "-t", "10")
    for service in BUILT:
        for release in (made.release, made.release + NEXT):
            with suppress(CommandFailed):
                made.engine.docker("image", "rm", "-f", f"alteraser-{service}:{release}")


def images_left(made: Stack) -> list[str]:
    """The images that were built and are still there."""
    listed = made.engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").splitlines()
    return [name for name in listed if made.release in name]
