"""`.env.example` says what the code reads: every setting, at its default, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ledger.settings import PREFIX, SharedSettings
from service.settings import ServiceSettings
from workers.settings import WorkerSettings

EXAMPLE = Path(".env.example").read_text()
EXAMPLES: dict[str, str] = dict(re.findall(r"^#?(ALTERASER_\w+)=(.*)$", EXAMPLE, re.MULTILINE))
CLASSES = (SharedSettings, ServiceSettings, WorkerSettings)
FIELDS = {PREFIX + name.upper(): field for settings in CLASSES for name, field in settings.model_fields.items()}
DEFAULTS_OF_THE_COMMAND_LINE = {"ALTERASER_HOME": ".alteraser"}


def test_every_setting_is_in_the_example_and_no_other() -> None:
    assert EXAMPLES.keys() == FIELDS.keys()


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if not field.is_required()])
def test_an_optional_setting_is_commented_out_at_its_default(name: str) -> None:
    assert f"#{name}=" in EXAMPLE
    default = FIELDS[name].default
    shown = EXAMPLES[name]
    if default is None:
        assert shown == DEFAULTS_OF_THE_COMMAND_LINE.get(name, "")
    else:
        assert type(default)(shown) == default or shown == str(default).lower()


@pytest.mark.parametrize("name", [name for name, field in FIELDS.items() if field.is_required()])
def test_a_required_setting_is_not_commented_out(name: str) -> None:
    assert re.search(rf"^{name}=\S", EXAMPLE, re.MULTILINE)


@pytest.mark.parametrize(("name", "field"), FIELDS.items())
def test_every_setting_says_what_follows_from_it(name: str, field: object) -> None:
    description = getattr(field, "description", None)
    assert description, f"{name} has no docstring"


def test_the_example_is_accepted_by_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in EXAMPLES.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
    for settings in CLASSES:
        settings()
