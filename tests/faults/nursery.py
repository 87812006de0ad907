"""A process that has loaded torch, Celery and the web framework once, and forks the processes of a deployment from it.

Starting them afresh costs three seconds each; forked they run the same `main` in a tenth of one. Run as
`python -m tests.faults.nursery`, it reads one JSON order per line and answers each with a process id. When its input
ends, so do all its children.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from cli.parent_death import die_with_parent

PATIENCE_S = 10


class Nursery:
    """The other end: orders processes."""

    def __init__(self, log: Path) -> None:
        with log.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.nursery"],
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=sink,
                text=True,
            )

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
        """Start `python -m <command>` with this environment and nothing else; returns the process id."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the nursery was started without pipes")
        order = {"command": list(command), "environment": dict(environment), "log": str(log)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the nursery and everything that came from it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> None:
    """Take orders until the input ends, then kill whoever is left."""
    import celery.app.amqp
    import celery.beat
    import celery.worker.consumer  # noqa: F401 - loaded for the children

    import workers.tasks
    import workers.workbench  # noqa: F401

    signal.signal(signal.SIGCHLD, _reap)
    children = []
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            _become(order["command"], order["environment"], order["log"])
        children.append(child)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _become(command: list[str], environment: dict[str, str], log: str) -> None:
    """Run the command's `main` in this child, and end."""
    import service.__main__
    import workers.__main__

    die_with_nursery = die_with_parent(signal.SIGKILL)
    if die_with_nursery is not None:
        die_with_nursery()
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    silence = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((silence, 0), (sink, 1), (sink, 2)):
        os.dup2(descriptor, target)
    sys.argv = list(command)
    code = 1
    try:
        code = (service.__main__ if command[0] == "service" else workers.__main__).main()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _reap(_number: int, _frame: FrameType | None) -> None:
    """Collect the children that ended, so that no process id stays taken."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main()
