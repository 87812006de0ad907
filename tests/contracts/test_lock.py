"""The lock files pin everything that is installed, and carry nothing of the machine they were made on."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads(Path("pyproject.toml").read_text())["project"]
FILES = (Path("requirements.lock"), Path("requirements-dev.lock"))
ACCELERATOR_PACKAGES = re.compile(r"nvidia|cuda|triton")


def pins(*files: Path) -> dict[str, Requirement]:
    """The pinned requirements by canonical name."""
    lines = [line for file in files for line in file.read_text().splitlines()]
    wanted = (Requirement(line) for line in lines if line and not line.startswith(("#", "-r ")))
    return {canonicalize_name(pin.name): pin for pin in wanted}


def closure(requirements: list[str]) -> dict[str, Requirement]:
    """Everything these need here, directly or not, as the installed packages declare it."""
    found: dict[str, Requirement] = {}
    pending = [(Requirement(text), "") for text in requirements]
    seen: set[tuple[str, str]] = set()
    while pending:
        wanted, extra = pending.pop()
        name = canonicalize_name(wanted.name)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        found.setdefault(name, wanted)
        for inner in ("", *wanted.extras):
            if (name, inner) not in seen:
                seen.add((name, inner))
                pending += [(Requirement(text), inner) for text in distribution(name).requires or ()]
    return found


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_lock_file_holds_no_address_path_or_hash(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert not [line for line in lines if re.search(r"://|/|@|\\|--", line) and line != "-r requirements.lock"]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_line_is_one_exact_version(file: Path) -> None:
    for pin in pins(file).values():
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert not re.search(r"[*+]", specifier.version)


def test_torch_is_pinned_without_its_accelerator_packages() -> None:
    locked = pins(*FILES)
    assert str(locked["torch"]) == "torch==2.13.0"
    assert not [name for name in locked if ACCELERATOR_PACKAGES.search(name)]


def test_the_running_system_is_locked_with_all_it_needs() -> None:
    needed = closure(PROJECT["dependencies"])
    assert {name for name in needed if not ACCELERATOR_PACKAGES.search(name)} <= pins(FILES[0]).keys()


def test_the_tools_are_locked_with_all_they_need() -> None:
    assert closure(PROJECT["optional-dependencies"]["dev"]).keys() <= pins(*FILES).keys()


def test_every_range_admits_its_pin() -> None:
    locked = pins(*FILES)
    for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]):
        wanted = Requirement(text)
        (pin,) = locked[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(pin.version), text
