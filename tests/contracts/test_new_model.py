"""The model kind of `docs/new-model.md` can be written, installed, trained, checked and unlearned as it says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from alteraser.kinds import GROUP
from tests.installed import installed

DOCUMENT = Path("docs/new-model.md").read_text()


def blocks(language: str) -> list[str]:
    """The document's code blocks in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_every_code_block_runs_in_the_order_of_the_document(tmp_path: Path) -> None:
    module, *steps = blocks("python")
    (tmp_path / "two_towers.py").write_text(module)
    (project,) = (tomllib.loads(block)["project"] for block in blocks("toml"))
    names: dict[str, Any] = {}
    with installed(tmp_path, project["entry-points"][GROUP], distribution=project["name"]):
        for step in steps:
            exec(compile(step, "docs/new-model.md", "exec"), names)  # noqa: S102
    assert type(names["two_towers"].scorer).__module__ == "two_towers"


def test_every_module_that_is_named_exists() -> None:
    named = set(re.findall(r"`(alteraser/\w+\.py)`", DOCUMENT))
    assert named
    assert all(Path(name).is_file() for name in named)
