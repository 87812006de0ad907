"""The interaction matrix: its two directions, its vocabularies and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from alteraser.deletions import Deletions
from alteraser.errors import InvalidInteractions, VocabularyMismatch
from alteraser.interactions import Csr, Interactions, Vocabulary, rows_in

DATA = Interactions.from_pairs(["ann", "ann", "bob", "ann", "cid", "bob"], ["tea", "ale", "ale", "tea", "rum", "gin"])


def _csr(indptr: list[int], indices: list[int]) -> Csr:
    return Csr(np.array(indptr, dtype=np.int64), np.array(indices, dtype=np.int32))


def _lists(rows: Csr) -> list[list[int]]:
    return [rows.row(r).tolist() for r in range(len(rows.counts))]


def test_pairs_are_counted_once_and_ids_keep_the_order_of_first_appearance() -> None:
    assert DATA.users.ids == ("ann", "bob", "cid")
    assert DATA.items.ids == ("tea", "ale", "rum", "gin")
    assert (len(DATA), DATA.n_users, DATA.n_items) == (5, 3, 4)


def test_both_directions_hold_the_same_pairs() -> None:
    assert _lists(DATA.by_user) == [[0, 1], [1, 3], [2]]
    assert _lists(DATA.by_item) == [[0], [0, 1], [2], [1]]


def test_item_order_carries_values_from_one_direction_to_the_other() -> None:
    users = np.repeat(np.arange(DATA.n_users), DATA.by_user.counts)
    assert users[DATA.item_order].tolist() == DATA.by_item.indices.tolist()


def test_items_of_gives_ids_and_nothing_for_a_stranger() -> None:
    assert DATA.items_of("bob") == ["ale", "gin"]
    assert DATA.items_of("zoe") == []


def test_an_erased_user_leaves_the_vocabulary_with_the_items_nobody_else_met() -> None:
    kept = DATA.without(Deletions(subjects=frozenset({"bob"})))
    assert kept.users.ids == ("ann", "cid")
    assert kept.items.ids == ("tea", "ale", "rum")
    assert _lists(kept.by_user) == [[0, 1], [2]]


def test_an_erased_item_takes_along_a_user_who_met_nothing_else() -> None:
    kept = DATA.without(Deletions(items=frozenset({"rum"})))
    assert kept.items.ids == ("tea", "ale", "gin")
    assert kept.users.ids == ("ann", "bob")
    assert _lists(kept.by_user) == [[0, 1], [1, 2]]


def test_a_user_whose_every_pair_is_deleted_leaves_with_the_items_nobody_else_met() -> None:
    kept = DATA.without(Deletions(pairs=frozenset({("bob", "ale"), ("bob", "gin")})))
    assert kept.users.ids == ("ann", "cid")
    assert kept.items.ids == ("tea", "ale", "rum")


def test_a_matrix_over_other_vocabularies_keeps_what_both_know() -> None:
    kept = DATA.without(Deletions(subjects=frozenset({"bob"})))
    assert DATA.over(kept.users, kept.items).digest() == kept.digest()


def test_unknown_ids_and_pairs_are_ignored() -> None:
    strangers = Deletions(frozenset({"zoe"}), frozenset({"mead"}), frozenset({("ann", "gin"), ("zoe", "tea")}))
    assert DATA.without(strangers) is DATA


def test_everything_can_be_deleted() -> None:
    kept = DATA.without(Deletions(frozenset(DATA.users.ids), frozenset(DATA.items.ids)))
    assert (len(kept), kept.n_users, kept.n_items) == (0, 0, 0)


def test_no_pairs_make_an_empty_matrix() -> None:
    empty = Interactions.from_pairs([], [])
    assert (len(empty), empty.n_users, empty.n_items) == (0, 0, 0)
    assert empty.without(Deletions(subjects=frozenset({"ann"}))) is empty


def test_columns_of_objects_are_read_like_lists() -> None:
    users: NDArray[np.object_] = np.array(["ann", "bob"], dtype=np.object_)
    assert Interactions.from_pairs(users, users).digest() == (
        Interactions.from_pairs(["ann", "bob"], ["ann", "bob"]).digest()
    )


def test_the_order_of_rows_is_content() -> None:
    forward, backward = Interactions.from_pairs("ab", "ab"), Interactions.from_pairs("ba", "ba")
    assert forward.digest() != backward.digest()


def test_rows_of_a_child_are_found_in_its_parent() -> None:
    child = DATA.without(Deletions(subjects=frozenset({"ann"})))
    assert rows_in(child.users, DATA.users).tolist() == [1, 2]


def test_a_parent_that_lacks_an_id_is_refused() -> None:
    with pytest.raises(VocabularyMismatch) as refusal:
        rows_in(DATA.users, Vocabulary(("ann",)))
    assert refusal.value.n_missing == 2


def test_taking_rows_keeps_the_order_asked_for() -> None:
    assert _lists(DATA.by_user.take(np.array([2, 0, 2]))) == [[2], [0, 1], [2]]
    assert _lists(DATA.by_user.take(np.array([], dtype=np.int64))) == []


def test_an_id_may_not_occur_twice() -> None:
    with pytest.raises(InvalidInteractions, match="occurs twice"):
        Vocabulary(("ann", "bob", "ann"))


def test_a_refusal_does_not_tell_the_id() -> None:
    with pytest.raises(InvalidInteractions) as refusal:
        Vocabulary(("ann@example.org", "ann@example.org"))
    assert "ann" not in str(refusal.value)


def test_the_text_of_data_tells_no_id() -> None:
    assert repr(DATA) == "Interactions(5 of 3 users and 4 items)"
    assert repr(DATA.users) == "Vocabulary(3 ids)"


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(InvalidInteractions, match="2 users beside 1 items"):
        Interactions.from_pairs(["ann", "bob"], ["tea"])


def test_rows_outside_their_vocabulary_are_refused() -> None:
    with pytest.raises(InvalidInteractions, match="outside"):
        Interactions.from_rows(DATA.users, DATA.items, np.array([0]), np.array([4]))


@pytest.mark.parametrize(
    ("matrix", "reason"),
    [
        (_csr([0, 1, 2], [0, 1]), "one row per id"),
        (_csr([0, 1, 2, 4], [0, 1, 2]), "one row per id"),
        (_csr([0, 2, 1, 3], [0, 1, 2]), "one row per id"),
        (_csr([0, 1, 2, 3], [0, 1, 4]), "outside"),
        (_csr([0, 1, 2, 3], [0, 1, -1]), "outside"),
        (_csr([0, 2, 2, 3], [1, 0, 1]), "strictly increase"),
        (_csr([0, 2, 2, 3], [1, 1, 1]), "strictly increase"),
        (Csr(np.array([0, 0, 0, 0]), np.array([], dtype=np.int64)), "int32"),
    ],
)
def test_a_matrix_that_is_none_is_refused(matrix: Csr, reason: str) -> None:
    with pytest.raises(InvalidInteractions, match=reason):
        Interactions.from_csr(DATA.users, DATA.items, matrix)


def test_rows_may_fall_where_a_new_row_begins() -> None:
    matrix = _csr([0, 0, 2, 4], [2, 3, 0, 1])
    assert _lists(Interactions.from_csr(DATA.users, DATA.items, matrix).by_user) == [[], [2, 3], [0, 1]]
