"""Forgetting rows of the matrix, beside the same on a Python set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions, rows_in

Pair = tuple[str, str]

USERS = ("1", "2", "3", "Zoë", "user 5")
ITEMS = ("1", "2", "3", "4", "五", "item 6")
STRANGERS = ("", "nobody")

pairs = st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(ITEMS)), max_size=40)
matrices = pairs.map(lambda found: Interactions.from_pairs([u for u, _ in found], [i for _, i in found]))
some_users = st.sampled_from(USERS + STRANGERS)
some_items = st.sampled_from(ITEMS + STRANGERS)
deletions = st.builds(
    Deletions,
    st.frozensets(some_users, max_size=2),
    st.frozensets(some_items, max_size=2),
    st.frozensets(st.tuples(some_users, some_items), max_size=8),
)


def _pairs(data: Interactions) -> set[Pair]:
    return {(user, item) for user in data.users.ids for item in data.items_of(user)}


def _kept(found: set[Pair], forgotten: Deletions) -> set[Pair]:
    return {
        (user, item)
        for user, item in found - forgotten.pairs
        if user not in forgotten.subjects and item not in forgotten.items
    }


@given(pairs)
def test_a_matrix_holds_exactly_its_pairs(found: list[Pair]) -> None:
    data = Interactions.from_pairs([user for user, _ in found], [item for _, item in found])
    assert _pairs(data) == set(found)
    assert len(data) == len(set(found))
    assert data.users.ids == tuple(dict.fromkeys(user for user, _ in found))
    assert data.items.ids == tuple(dict.fromkeys(item for _, item in found))


@given(matrices)
def test_both_directions_agree(data: Interactions) -> None:
    by_user = [(u, i) for u in range(data.n_users) for i in data.by_user.row(u).tolist()]
    by_item = [(u, i) for i in range(data.n_items) for u in data.by_item.row(i).tolist()]
    assert sorted(by_item) == by_user
    assert [by_user[place] for place in data.item_order] == by_item


@given(matrices, deletions)
def test_forgetting_equals_forgetting_in_a_set(data: Interactions, forgotten: Deletions) -> None:
    kept = data.without(forgotten)
    assert _pairs(kept) == _kept(_pairs(data), forgotten)
    users, items = {user for user, _ in _pairs(kept)}, {item for _, item in _pairs(kept)}
    assert kept.users.ids == tuple(id for id in data.users.ids if id in users)
    assert kept.items.ids == tuple(id for id in data.items.ids if id in items)


@given(matrices, deletions, deletions)
def test_forgetting_in_two_steps_is_forgetting_both(data: Interactions, first: Deletions, second: Deletions) -> None:
    assert data.without(first).without(second).digest() == data.without(first | second).digest()


@given(matrices, deletions, deletions)
def test_the_order_of_forgetting_does_not_matter(data: Interactions, first: Deletions, second: Deletions) -> None:
    assert data.without(first).without(second).digest() == data.without(second).without(first).digest()


@given(matrices, deletions)
def test_forgetting_again_changes_nothing(data: Interactions, forgotten: Deletions) -> None:
    kept = data.without(forgotten)
    assert kept.without(forgotten) is kept


@given(matrices)
def test_forgetting_nothing_is_the_identity(data: Interactions) -> None:
    assert data.without(Deletions()) is data


@given(matrices, matrices)
def test_digests_are_equal_exactly_where_the_content_is(one: Interactions, other: Interactions) -> None:
    same = (
        one.users == other.users
        and one.items == other.items
        and one.by_user.indptr.tolist() == other.by_user.indptr.tolist()
        and one.by_user.indices.tolist() == other.by_user.indices.tolist()
    )
    assert (one.digest() == other.digest()) == same


@given(matrices)
def test_a_repeated_pair_changes_nothing(data: Interactions) -> None:
    found = [(user, item) for user in data.users.ids for item in data.items_of(user)]
    twice = Interactions.from_pairs([u for u, _ in found * 2], [i for _, i in found * 2])
    once = Interactions.from_pairs([u for u, _ in found], [i for _, i in found])
    assert twice.digest() == once.digest()


@given(matrices, deletions)
def test_rows_of_the_kept_are_found_where_they_were(data: Interactions, forgotten: Deletions) -> None:
    kept = data.without(forgotten)
    rows = rows_in(kept.users, data.users).tolist()
    assert [data.users.ids[row] for row in rows] == list(kept.users.ids)
    assert rows == sorted(rows)
