"""Looking at processes from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc")


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
