"""A container engine and compose, as they are called on a command line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 1800.0
TAIL_CHARACTERS = 3000


class NoEngine(Exception):
    """There is nothing here that runs containers."""


class CommandFailed(Exception):
    """A command ended with another exit code than 0."""

    def __init__(self, command: Sequence[str], done: subprocess.CompletedProcess[str]) -> None:
        said = (done.stdout + done.stderr)[-TAIL_CHARACTERS:]
        super().__init__(f"`{shlex.join(command)}` ended with {done.returncode}:\n{said}")


@dataclass(frozen=True, slots=True)
class Engine:
    """One compose project on the engine of this machine.

    Attributes:
        compose: The words that call compose.
        project: Names everything that belongs to the project.
        environment: What compose is told from outside.
    """

    compose: tuple[str, ...]
    project: str
    environment: Mapping[str, str]

    @property
    def command(self) -> tuple[str, ...]:
        """Compose's words, with the project."""
        return (*self.compose, "-p", self.project)

    def run(self, *words: str, given: str | None = None, **environment: str) -> str:
        """Call compose; what it wrote to standard output.

        Raises:
            CommandFailed: It ended with another exit code than 0.
        """
        return called((*self.command, *words), {**self.environment, **environment}, given)

    def docker(self, *words: str) -> str:
        """Call the engine itself."""
        return called(("docker", *words), self.environment)

    def ids(self, service: str) -> list[str]:
        """The running containers of a service, the oldest first."""
        labels = (f"project={self.project}", f"service={service}", "oneoff=False")
        filters = [f"--filter=label=com.docker.compose.{label}" for label in labels]
        return self.docker("ps", "-q", "--no-trunc", *filters).split()[::-1]

    def inspect(self, container: str) -> dict[str, Any]:
        """All the engine knows of a container."""
        (found,) = json.loads(self.docker("inspect", container))
        return dict(found)

    def mains(self, service: str) -> dict[str, int]:
        """The running containers of a service with their main processes, as the engine numbers them."""
        return {container: int(self.inspect(container)["State"]["Pid"]) for container in self.ids(service)}

    def kill_main(self, container: str, pid: int) -> None:
        """Kill a container's main process as the kernel would: to the engine it died by itself.

        From here where that is allowed, which takes no time; else from within, past the first process, which is immune.
        """
        if os.geteuid() == 0 and _is_of(pid, container):
            os.kill(pid, signal.SIGKILL)
        else:
            self.docker("exec", container, "sh", "-c", "kill -9 $(cut -d' ' -f1 /proc/1/task/1/children)")

    def left(self) -> list[str]:
        """What there is of the project: containers, networks, volumes."""
        label = f"label=com.docker.compose.project={self.project}"
        listed = {
            "container": ("ps", "-aq", "--filter", label),
            "network": ("network", "ls", "-q", "--filter", label),
            "volume": ("volume", "ls", "-q", "--filter", label),
        }
        return [f"{kind} {name}" for kind, words in listed.items() for name in self.docker(*words).split()]


def find_compose() -> tuple[str, ...]:
    """How compose is called here: as COMPOSE says, else `docker compose`, else `docker-compose`.

    Raises:
        NoEngine: Neither is there, or no engine answers.
    """
    if shutil.which("docker") is None or not _works("docker", "info"):
        raise NoEngine("no container engine answers: `docker info` fails")
    named = os.environ.get("COMPOSE")
    for words in [shlex.split(named)] if named else [["docker", "compose"], ["docker-compose"]]:
        if _works(*words, "version"):
            return tuple(words)
    raise NoEngine("there is an engine, and neither `docker compose` nor `docker-compose`; name one with COMPOSE=...")


def called(command: Sequence[str], environment: Mapping[str, str], given: str | None = None) -> str:
    """Run a command; its standard output.

    Raises:
        CommandFailed: It ended with another exit code than 0.
    """
    done = subprocess.run(
        command, env={**os.environ, **environment}, input=given, capture_output=True, text=True, timeout=PATIENCE_S
    )
    if done.returncode:
        raise CommandFailed(command, done)
    return done.stdout


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def _is_of(pid: int, container: str) -> bool:
    """Whether the process is the container's as seen from here, and not one of another machine's."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
