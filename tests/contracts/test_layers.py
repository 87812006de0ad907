"""Who may import whom, and who may not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SETTINGS = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["importlinter"]


def test_the_layers_hold() -> None:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command is not None
    done = subprocess.run([command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_package_is_under_a_contract() -> None:
    packages = {path.parent.name for path in Path().glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages == set(SETTINGS["root_packages"])


@pytest.mark.parametrize("package", SETTINGS["root_packages"])
def test_importing_a_package_does_nothing_else(package: str) -> None:
    script = f"import sys, {package}; assert 'torch' not in sys.modules; assert 'celery' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
