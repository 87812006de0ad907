"""`docs/operations.md` has every setting, every variable of the compose file, every service, and names nothing else."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ledger.settings import PREFIX
from tests.contracts.test_settings import FIELDS

DOCUMENT = Path("docs/operations.md").read_text()
COMPOSE = Path("docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
ONCE = {"secrets", "migrate", "metrics-key", "cli"}


def rows_of(section: str) -> list[str]:
    """The rows of the tables of a section."""
    (body,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [line for line in body.splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_has_a_row_with_its_default(name: str) -> None:
    (row,) = (row for row in rows_of("Configure") if f"`{name}`" in row.split("|")[1])
    default = FIELDS[name].default
    if isinstance(default, bool | int | float | str) and not FIELDS[name].is_required():
        shown = row.split("|")[2].strip().strip("`")
        assert type(default)(shown) == default or shown == str(default).lower()


def test_no_other_setting_is_named() -> None:
    assert set(re.findall(rf"`({PREFIX}\w+)`", DOCUMENT)) <= FIELDS.keys()


def test_every_variable_of_the_compose_file_has_a_row_with_its_default() -> None:
    used = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    shown: dict[str, str] = {}
    for row in rows_of("Configure"):
        names, defaults = (re.findall(r"`([^`]+)`", cell) for cell in row.split("|")[1:3])
        shown |= dict(zip(names, defaults, strict=False))
    assert {name: shown.get(name) for name in used} == used


def test_every_service_has_a_row() -> None:
    named = {name for row in rows_of("Install") for name in re.findall(r"`([\w-]+)`", row.split("|")[1])}
    assert set(SERVICES) <= named


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "init"} <= service.keys()
    assert name in ONCE or "healthcheck" in service
    ports = service.get("ports", [])
    assert all(port.startswith(("127.0.0.1:", "${LISTEN:-127.0.0.1:8080}")) for port in ports)
    assert not ports or name in ("edge", "prometheus", "grafana")


def test_every_file_the_deployment_mounts_or_builds_from_exists() -> None:
    named = re.findall(r"\./(observability[\w/]*)|(docker/[\w.-]*\w)", COMPOSE + DOCUMENT)
    assert all(Path(path).exists() for pair in named for path in pair if path and "*" not in path)


def test_an_upgrade_of_nothing_fails_and_says_so() -> None:
    done = subprocess.run(["docker/upgrade"], env={**os.environ, "COMPOSE": "true"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.startswith("no replica runs")
