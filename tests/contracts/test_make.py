"""`make help` lists every target, and the README's and the pipeline's commands exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path("Makefile").read_text()
TARGETS = set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())
DOCUMENTS = (Path("README.md"), Path("CONTRIBUTING.md"), Path(".ci/run"))


def test_every_target_is_listed_by_make_help() -> None:
    shown = subprocess.run(["make", "help"], capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([\w-]+)", shown, re.MULTILINE)) == TARGETS


def test_every_rule_that_is_no_file_is_phony() -> None:
    rules = set(re.findall(r"^([a-z][\w-]*):", MAKEFILE, re.MULTILINE))
    assert rules == TARGETS


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_documents_name_only_targets_that_exist(document: Path) -> None:
    named = set(re.findall(r"^(?: {4})?(?:[A-Z_]+=\S+ )?make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named <= TARGETS
