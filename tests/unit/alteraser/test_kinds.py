"""Model kinds are found by name, wherever they are installed, and a name means one kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from alteraser.errors import KindClaimedTwice, KindNotLoaded, UnknownKind
from alteraser.kinds import kind
from tests.installed import installed
from tests.unit.alteraser.two_towers import TWO_TOWERS

SOURCE = "tests.unit.alteraser.two_towers:TWO_TOWERS"


@pytest.mark.parametrize("name", ["wmf", "neumf"])
def test_the_packages_own_kinds_need_no_entry_point(name: str) -> None:
    assert kind(name).name == name


def test_an_installed_kind_is_found_while_it_is_installed(tmp_path: Path) -> None:
    with installed(tmp_path, {"two-towers": SOURCE}):
        assert kind("two-towers") is TWO_TOWERS
    with pytest.raises(UnknownKind, match="two-towers"):
        kind("two-towers")


def test_a_name_of_two_installed_kinds_is_refused(tmp_path: Path) -> None:
    with (
        installed(tmp_path / "a", {"two-towers": SOURCE}),
        installed(tmp_path / "b", {"two-towers": "elsewhere:KIND"}, distribution="other-models"),
        pytest.raises(KindClaimedTwice, match="elsewhere:KIND") as raised,
    ):
        kind("two-towers")
    assert set(raised.value.claimants) == {SOURCE, "elsewhere:KIND"}


def test_an_installed_kind_cannot_take_the_name_of_the_packages_own(tmp_path: Path) -> None:
    with installed(tmp_path, {"wmf": SOURCE}), pytest.raises(KindClaimedTwice, match="alteraser"):
        kind("wmf")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("no_such_module:KIND", "ModuleNotFoundError"),
        ("tests.unit.alteraser.two_towers:KIND", "AttributeError"),
        ("broken_kind:KIND", "ZeroDivisionError"),
        (SOURCE, "no model kind of that name"),
    ],
)
def test_a_kind_that_cannot_be_used_is_refused_by_name_and_source(tmp_path: Path, source: str, reason: str) -> None:
    (tmp_path / "broken_kind.py").write_text("KIND = 1 / 0\n")
    with installed(tmp_path, {"mine": source}), pytest.raises(KindNotLoaded, match=reason) as raised:
        kind("mine")
    assert (raised.value.name, raised.value.source) == ("mine", source)


def test_a_broken_kind_does_not_stand_in_the_way_of_others(tmp_path: Path) -> None:
    with installed(tmp_path, {"mine": "no_such_module:KIND", "two-towers": SOURCE}):
        assert kind("two-towers") is TWO_TOWERS
