"""Plain child processes that live and end together."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cli.errors import ProgramDied, ProgramNotReady
from cli.parent_death import die_with_parent

STOP_GRACE_S = 10.0
LOOK_EVERY_S = 0.2
TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class Program:
    """One process to run: its name, command, added environment and log file."""

    name: str
    command: tuple[str, ...]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """Starts programs, notices when one ends, and stops the rest.

    Every program gets a session of its own, so a Ctrl-C in the terminal reaches only the supervisor, which
    stops them in reverse order of start. Should the supervisor itself be killed, the kernel kills them.
    """

    def __init__(self) -> None:
        self._running: list[tuple[Program, subprocess.Popen[bytes]]] = []

    def start(self, program: Program) -> None:
        """Start a program; its output is appended to its log."""
        with program.log.open("ab") as log:
            process = subprocess.Popen(
                program.command,
                env={**os.environ, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 (one prctl call, no lock taken)
            )
        self._running.append((program, process))

    def check(self) -> None:
        """Raise `ProgramDied` if any program has ended."""
        for program, process in self._running:
            exit_code = process.poll()
            if exit_code is not None:
                raise ProgramDied(program.name, exit_code, program.log, _tail(program.log))

    def pids(self) -> dict[str, int]:
        """The process ids by program name."""
        return {program.name: process.pid for program, process in self._running}

    def wait(self) -> None:
        """Watch the programs until one ends, which raises `ProgramDied`; only a signal interrupts it."""
        while True:
            self.check()
            time.sleep(LOOK_EVERY_S)

    def not_ready(self, name: str, waited_s: float) -> ProgramNotReady:
        """The error that says a running program did not answer in time."""
        program = next(program for program, _ in self._running if program.name == name)
        return ProgramNotReady(name, waited_s, program.log, _tail(program.log))

    def stop(self) -> None:
        """Stop every program, last started first; kill those that do not end in the grace time."""
        while self._running:
            _, process = self._running.pop()
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
