"""Looking at processes from outside."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
LAST_WORDS = "Ctrl-C stops everything"


@dataclass(frozen=True, slots=True)
class Announced:
    """What `alteraser up` says once it is ready: the service's address and a key, and all of it."""

    url: str
    key: str
    said: str


def announced(process: subprocess.Popen[str]) -> Announced:
    """Read what a starting `alteraser up` prints, until it is ready."""
    assert process.stdout is not None
    said = ""
    while LAST_WORDS not in said:
        line = process.stdout.readline()
        assert line, f"ended early: {said}"
        said += line
    url, key = re.search(r"http://[\d.:]+", said), re.search(r"ak_\S+", said)
    assert url is not None, said
    assert key is not None, said
    return Announced(url.group(), key.group(), said)


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for its parent does not."""
    return _state_and_parent(pid)[0] not in ("", "Z", "X")


def descendants(pid: int) -> set[int]:
    """All processes that this one has started, directly or not."""
    parents = {int(entry.name): _state_and_parent(int(entry.name))[1] for entry in PROC.glob("[0-9]*")}
    found = {pid}
    while grown := {child for child, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {pid}


def wait_until(is_so: Callable[[], bool], *, within_s: float = 10.0, every_s: float = 0.02) -> None:
    """Look until it is so, with so much time between two looks.

    Raises:
        TimeoutError: It was not in time.
    """
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so within {within_s} s")
        time.sleep(every_s)


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "", 0
    state, parent, *_ = text.rpartition(")")[2].split()
    return state, int(parent)
