"""The front-end libraries are the files that their packages have, and their licences lie beside them."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

VENDOR = files("service") / "static" / "vendor"
LISTED = dict(re.findall(r"^\| `([\w.]+)` \|.*`([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.MULTILINE))


def test_every_library_is_listed_with_its_sum() -> None:
    libraries = [file for file in VENDOR.iterdir() if file.name.endswith((".js", ".css"))]
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in libraries} == LISTED


def test_every_library_has_its_licence() -> None:
    for name in LISTED:
        assert (VENDOR / f"{name.partition('.')[0]}.LICENSE").is_file()
