"""A word for what is to be forgotten means the same every time, and nonsense is refused in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.forgotten import UnknownForgetting, forgotten, in_the_open
from tests.unit.alteraser.small_model import small_data

DATA = small_data(n_users=200, n_items=150, n_interactions=4000)


def activity_of(spec: str, draw: int) -> int:
    (user,) = forgotten(spec, DATA, draw).subjects
    return len(DATA.items_of(user))


@pytest.mark.parametrize("draw", range(5))
def test_a_median_user_is_about_as_active_as_half_of_the_users(draw: int) -> None:
    share_below = np.mean(DATA.by_user.counts < activity_of("user=median", draw))
    share_not_above = np.mean(DATA.by_user.counts <= activity_of("user=median", draw))
    assert share_below <= 0.53
    assert share_not_above >= 0.47


def test_a_heavy_user_and_a_popular_item_are_of_the_top_percent() -> None:
    assert activity_of("user=heavy", 0) >= np.sort(DATA.by_user.counts)[-2]
    (item,) = forgotten("item=popular", DATA, 0).items
    row = DATA.items.row(item)
    assert row is not None
    assert DATA.by_item.counts[row] >= np.sort(DATA.by_item.counts)[-2]


def test_ids_name_users_and_items() -> None:
    assert forgotten(f"user={DATA.users.ids[7]}", DATA, 0).subjects == {DATA.users.ids[7]}
    assert forgotten(f"item={DATA.items.ids[7]}", DATA, 0).items == {DATA.items.ids[7]}


@pytest.mark.parametrize(
    ("spec", "n_pairs"), [("interactions=1%", 40), ("interactions=2.5%", 100), ("interactions=7", 7)]
)
def test_a_share_of_the_interactions_is_drawn_without_replacement(spec: str, n_pairs: int) -> None:
    deletions = forgotten(spec, DATA, 3)
    assert len(deletions.pairs) == n_pairs
    assert len(DATA) - len(DATA.without(deletions)) == n_pairs


def test_users_are_drawn_without_replacement() -> None:
    assert len(forgotten("users=60", DATA, 0).subjects) == 60


@pytest.mark.parametrize("spec", ["user=median", "users=5", "interactions=1%", "item=popular"])
def test_the_same_draw_is_the_same_and_another_differs(spec: str) -> None:
    assert forgotten(spec, DATA, 1) == forgotten(spec, DATA, 1)
    assert (
        len(
            {
                str(sorted(map(str, (d.subjects, d.items, d.pairs))))
                for d in (forgotten(spec, DATA, k) for k in range(8))
            }
        )
        > 1
    )


def test_a_file_is_forgotten_as_far_as_it_is_in_the_training_data(tmp_path: Path) -> None:
    user = DATA.users.ids[0]
    inside = DATA.items_of(user)[:2]
    outside = next(item for item in DATA.items.ids if item not in DATA.items_of(user))
    lines = ["user,item", *(f"{user},{item}" for item in (*inside, outside)), f"nobody,{inside[0]}"]
    (tmp_path / "gone.csv").write_text("\n".join(lines) + "\n")
    assert forgotten(f"file={tmp_path / 'gone.csv'}", DATA, 0).pairs == {(user, item) for item in inside}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("median", "NAME=VALUE"),
        ("user=", "NAME=VALUE"),
        ("person=median", "NAME=VALUE"),
        ("user=nobody", "no user"),
        ("item=nothing", "no item"),
        ("users=0", "whole number from 1 to 199"),
        ("users=200", "whole number from 1 to 199"),
        ("users=many", "whole number"),
        ("interactions=0%", "between 0 and 100"),
        ("interactions=100%", "between 0 and 100"),
        ("interactions=nan%", "between 0 and 100"),
        ("interactions=x%", "percentage"),
        ("interactions=4000", "whole number from 1 to 3999"),
        ("file=/not/there", "no such file"),
    ],
)
def test_nonsense_is_refused_in_words(spec: str, reason: str) -> None:
    with pytest.raises(UnknownForgetting, match=reason) as refusal:
        forgotten(spec, DATA, 0)
    assert "known are user=median" in str(refusal.value)


def test_a_file_of_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gone.csv").write_text("user,item\nnobody,nothing\n")
    with pytest.raises(UnknownForgetting, match="none of the file's interactions"):
        forgotten(f"file={tmp_path / 'gone.csv'}", DATA, 0)


def test_a_files_path_is_not_published() -> None:
    assert in_the_open("file=/home/somebody/gone.csv") == "file=gone.csv"
    assert in_the_open("user=median") == "user=median"
