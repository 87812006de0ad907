"""Points at which a test may end the process, and nobody else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from alteraser import crash
from alteraser.errors import UnknownCrashPoint

PACKAGES = ("alteraser", "ledger", "workers", "service")
PASSED = [
    name
    for package in PACKAGES
    for file in Path(package).rglob("*.py")
    for name in re.findall(r'crash\.point\("([\w.]+)"\)', file.read_text())
]


def ended(arms: str, passes: int) -> int:
    """How a process ends that is armed and then passes a point so many times."""
    script = (
        f"from alteraser import crash; crash.arm({arms!r}); [crash.point('publish.inside') for _ in range({passes})]"
    )
    return subprocess.run([sys.executable, "-c", script]).returncode


def test_every_point_is_passed_somewhere_and_no_other_is() -> None:
    assert set(PASSED) == set(crash.POINTS)


def test_there_are_points_on_every_path() -> None:
    paths = {name.split(".")[0] for name in crash.POINTS}
    assert paths >= {
        "record",
        "ring",
        "lease",
        "unlearn",
        "write",
        "publish",
        "swap",
        "acknowledge",
        "destroy",
        "receipt",
        "callback",
    }
    assert len(crash.POINTS) >= 15


def test_an_unarmed_process_passes_every_point() -> None:
    for name in crash.POINTS:
        crash.point(name)


@pytest.mark.parametrize(
    ("arms", "passes", "code"),
    [
        ("publish.inside", 1, -9),
        ("publish.inside:3", 2, 0),
        ("publish.inside:3", 3, -9),
        ("lease.taken,publish.inside", 1, -9),
        ("lease.taken", 5, 0),
    ],
)
def test_an_armed_process_is_killed_at_the_pass_named(arms: str, passes: int, code: int) -> None:
    assert ended(arms, passes) == code


@pytest.mark.parametrize("spelled", ["", "nowhere", "publish.inside:x", "publish.inside:1:sleep", "publish.inside,"])
def test_what_is_no_point_is_refused_before_anything_starts(spelled: str) -> None:
    with pytest.raises(UnknownCrashPoint):
        crash.arm(spelled)
