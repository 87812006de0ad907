"""What is to be forgotten, as a value."""

from __future__ import annotations

from alteraser.deletions import Deletions


def test_no_deletions_are_false() -> None:
    assert not Deletions()


def test_deletions_of_any_sort_are_true() -> None:
    assert Deletions(subjects=frozenset({"u"}))
    assert Deletions(items=frozenset({"i"}))
    assert Deletions(pairs=frozenset({("u", "i")}))


def test_a_union_holds_both() -> None:
    union = Deletions(subjects=frozenset({"u"})) | Deletions(frozenset({"v"}), pairs=frozenset({("w", "i")}))
    assert union == Deletions(frozenset({"u", "v"}), frozenset(), frozenset({("w", "i")}))


def test_deletions_are_values() -> None:
    assert len({Deletions(frozenset({"u"})), Deletions(frozenset({"u"}))}) == 1


def test_their_text_tells_how_many_and_never_which() -> None:
    deletions = Deletions(frozenset({"ann"}), frozenset(), frozenset({("bob", "tea"), ("bob", "ale")}))
    assert repr(deletions) == "Deletions(1 subjects, 0 items, 2 pairs)"
