"""`docs/commands.md` and the README name the commands there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from cli.main import app

COMMANDS = Path("docs/commands.md").read_text()
DOCUMENTS = (Path("docs/commands.md"), Path("README.md"), Path("docker-compose.yml"))


def declared() -> dict[str, set[str]]:
    """Every command, groups spelled out, with its options."""
    found: dict[str, set[str]] = {}
    pending = [("", get_command(app))]
    while pending:
        name, command = pending.pop()
        children = getattr(command, "commands", {})
        pending += [(f"{name} {child}".strip(), sub) for child, sub in children.items()]
        if not children:
            found[name] = {option for parameter in command.params for option in parameter.opts}
    return found


@pytest.mark.parametrize("command", declared())
def test_every_command_is_documented(command: str) -> None:
    assert re.search(rf"^\| `alteraser {command}\b", COMMANDS, re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_command_named_in_a_document_exists(document: Path) -> None:
    named = re.findall(r"(?:`|bin/|run --rm cli )alteraser ((?:(?:keys|log) )?[a-z]+)", document.read_text())
    assert set(named) <= declared().keys()


def test_every_option_in_the_table_belongs_to_its_command() -> None:
    for row in COMMANDS.splitlines():
        if row.startswith("| `alteraser "):
            words = row.split("`")[1].split()[1:]
            name = " ".join(words[:2]) if words[0] in ("keys", "log") else words[0]
            assert set(re.findall(r"--[a-z-]+", row)) <= declared()[name], name


@pytest.mark.parametrize("command", declared().items(), ids=lambda each: each[0])
def test_every_parameter_is_explained(command: tuple[str, set[str]]) -> None:
    name, _ = command
    node = get_command(app)
    for part in name.split():
        node = getattr(node, "commands", {})[part]
    assert all(getattr(parameter, "help", None) for parameter in node.params if parameter.name != "help")
