"""A distribution that declares model kinds, installed for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from alteraser.kinds import GROUP, kind


@contextmanager
def installed(folder: Path, declared: Mapping[str, str], distribution: str = "house-models") -> Iterator[None]:
    """Put a distribution with these entry points (name to object), and whatever modules ``folder`` has, on the path."""
    metadata = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in declared.items()]
    (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(folder))
        kind.cache_clear()
        yield
    kind.cache_clear()
