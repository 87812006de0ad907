"""The whole system in one folder: embedded PostgreSQL and Valkey, worker, beat and web, supervised."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Never

import httpx

from cli.deployment import Deployment, announced
from cli.embedded import EmbeddedPostgres, EmbeddedValkey
from cli.errors import PortInUse
from cli.home import Home, claimed, prepare
from cli.supervisor import Program, Supervisor

READY_WITHIN_S = 60.0
LOOK_EVERY_S = 0.1
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running system."""

    home: Home
    deployment: Deployment
    supervisor: Supervisor
    url: str

    def wait_until_ready(self) -> None:
        """Wait until the web process serves a model.

        Raises:
            ProgramDied: A process ended.
            ProgramNotReady: It did not in time.
        """
        _wait_for(self.supervisor, f"{self.url}/readyz")


@contextmanager
def running(folder: Path, *, host: str, port: int, demo: bool = False) -> Iterator[Stack]:
    """Run the whole system while the block runs; stop every part of it at the end, whatever the end.

    Args:
        folder: The home folder; made where it is missing.
        host: Where the web process listens.
        port: On which port; 0 takes a free one.
        demo: Leave the operations pages open to callers without a key.

    Raises:
        HomeNotWritable: The folder cannot be written.
        HomeInUse: A supervisor runs in it already.
        PortInUse: Something listens on that port already.
        ProgramDied: A process ended while starting.
        ProgramNotReady: The web process did not answer in time.
    """
    home = prepare(folder)
    with ExitStack() as stack:
        stack.enter_context(claimed(home))
        port = _free_port(host, port)
        stack.enter_context(_undisturbed_end())
        deployment = _embedded(home, stack)
        _migrate(deployment)
        supervisor = Supervisor()
        stack.callback(supervisor.stop)
        for program in _programs(home, deployment, host, port, demo=demo):
            supervisor.start(program)
        url = f"http://{host}:{port}"
        _wait_for(supervisor, f"{url}/livez")
        stack.enter_context(announced(home, deployment))
        yield Stack(home, deployment, supervisor, url)


def _embedded(home: Home, stack: ExitStack) -> Deployment:
    postgres = stack.enter_context(EmbeddedPostgres(home.postgres))
    valkey = stack.enter_context(EmbeddedValkey(home.valkey))
    return Deployment(postgres.url, valkey.url, str(home.snapshots), str(home.secrets))


def _migrate(deployment: Deployment) -> None:
    from migrations import upgrade

    upgrade(deployment.database_url)


def _programs(home: Home, deployment: Deployment, host: str, port: int, *, demo: bool) -> list[Program]:
    shared = {**deployment.environment(), "ALTERASER_HOME": str(home.folder), "PYTHONUNBUFFERED": "1"}
    web = {
        "ALTERASER_SERVICE_HOST": host,
        "ALTERASER_SERVICE_PORT": str(port),
        "ALTERASER_DEMO_MODE": str(demo).lower(),
        "OMP_NUM_THREADS": "1",  # a query is too small to gain from threads, and they wait for each other
    }
    worker = {
        "MALLOC_MMAP_THRESHOLD_": str(1 << 30),  # arrays come and go: give none back to the kernel in between,
        "MALLOC_TRIM_THRESHOLD_": str(1 << 32),  # whose fresh pages cost a sixth of a solver's time
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning for others, a run of a second takes half a minute
    }
    commands = {
        "worker": (("workers", "worker"), worker),
        "beat": (("workers", "beat"), {}),
        "web": (("service",), web),
    }
    return [
        Program(name, (sys.executable, "-m", *arguments), home.logs / f"{name}.log", {**shared, **added})
        for name, (arguments, added) in commands.items()
    ]


def _wait_for(supervisor: Supervisor, url: str) -> None:
    patient_until = time.monotonic() + READY_WITHIN_S
    while not _answers(url):
        supervisor.check()
        if time.monotonic() > patient_until:
            raise supervisor.not_ready("web", READY_WITHIN_S)
        time.sleep(LOOK_EVERY_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5.0).is_success
    except httpx.TransportError:
        return False


def _free_port(host: str, port: int) -> int:
    """The port, after a look that it can be listened on; a free one for 0."""
    try:
        with socket.create_server((host, port)) as probe:
            found: int = probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise PortInUse(host, port, getattr(error, "strerror", None) or str(error)) from error
    return found


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Let a signal interrupt the block like Ctrl-C, but only once: the stopping is not interrupted."""
    previous = {number: signal.signal(number, _interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> Never:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
