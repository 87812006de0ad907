"""The popularity list."""

from __future__ import annotations

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions
from alteraser.popularity import popular

DATA = Interactions.from_pairs(["a", "a", "b", "b", "c"], ["tea", "ale", "ale", "gin", "ale"])


def test_the_most_chosen_item_comes_first_and_ties_fall_by_row() -> None:
    assert [DATA.items.ids[row] for row in popular(DATA)] == ["ale", "tea", "gin"]


def test_an_item_nobody_chose_comes_last() -> None:
    kept = DATA.without(Deletions(subjects=frozenset({"a"})))
    assert [kept.items.ids[row] for row in popular(kept)] == ["ale", "gin", "tea"]


def test_no_items_make_no_list() -> None:
    assert popular(Interactions.from_pairs([], [])).tolist() == []
