"""Negatives are a pure function of ids: whatever is deleted takes exactly its own terms along."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions, Vocabulary
from alteraser.negatives import negatives
from tests.unit.alteraser.small_model import small_data

DATA = small_data()
USER, OTHER = DATA.users.ids[3], DATA.users.ids[8]
ITEM = DATA.items_of(USER)[0]
DRAWS = 4


def named(data: Interactions, *, seed: int = 5, n_items_0: int = DATA.n_items) -> Counter[tuple[str, str]]:
    """The negatives by id."""
    users, items = negatives(data, seed=seed, per_positive=DRAWS, n_items_0=n_items_0)
    return Counter((data.users.ids[u], data.items.ids[i]) for u, i in zip(users, items, strict=True))


def of_one_positive(user: str, item: str) -> Counter[tuple[str, str]]:
    """The negatives of one interaction, as if it were the only one over the same items."""
    alone = Interactions.from_rows(Vocabulary((user,)), DATA.items, np.zeros(1, np.int64), DATA.items.rows([item]))
    return named(alone)


def test_the_negatives_are_those_of_every_positive_by_itself() -> None:
    pairs = ((user, item) for user in DATA.users.ids for item in DATA.items_of(user))
    assert sum((of_one_positive(*pair) for pair in pairs), Counter[tuple[str, str]]()) == named(DATA)


def test_a_deleted_interaction_takes_exactly_its_own_negatives_along() -> None:
    kept = DATA.without(Deletions(pairs=frozenset([(OTHER, DATA.items_of(OTHER)[0])])))
    assert named(DATA) - named(kept) == of_one_positive(OTHER, DATA.items_of(OTHER)[0])
    assert not named(kept) - named(DATA)


def test_a_deleted_user_takes_exactly_its_own_negatives_along() -> None:
    kept = named(DATA.without(Deletions(subjects=frozenset([USER]))))
    assert kept == Counter({pair: n for pair, n in named(DATA).items() if pair[0] != USER})


def test_a_deleted_item_takes_the_negatives_that_point_to_it_and_those_of_its_own_interactions_along() -> None:
    kept = named(DATA.without(Deletions(items=frozenset([ITEM]))))
    users = [user for user in DATA.users.ids if ITEM in DATA.items_of(user)]
    of_its_own = sum((of_one_positive(user, ITEM) for user in users), Counter[tuple[str, str]]())
    expected = named(DATA) - of_its_own
    assert kept == Counter({pair: n for pair, n in expected.items() if pair[1] != ITEM})


def test_they_do_not_depend_on_the_order_of_rows() -> None:
    pairs = [(user, item) for user in DATA.users.ids for item in DATA.items_of(user)][::-1]
    turned = Interactions.from_pairs([user for user, _ in pairs], [item for _, item in pairs])
    assert turned.users.ids != DATA.users.ids
    assert named(turned) == named(DATA)


def test_another_seed_draws_others_and_the_same_seed_the_same() -> None:
    assert named(DATA, seed=6) != named(DATA)
    assert named(DATA) == named(small_data())


def test_each_draw_has_one_negative_on_average_and_no_item_is_preferred() -> None:
    n_users, n_items = 400, 64
    ids = Vocabulary(tuple(f"item {k}" for k in range(n_items)))
    users = Vocabulary(tuple(f"user {k}" for k in range(n_users)))
    rows = np.divmod(np.arange(n_users * 10), 10)
    data = Interactions.from_rows(users, ids, rows[0].astype(np.int64), (rows[1] * 6).astype(np.int64))
    _, items = negatives(data, seed=1, per_positive=DRAWS, n_items_0=n_items)
    draws = n_users * 10 * DRAWS
    expected = draws / n_items
    assert len(items) == pytest.approx(draws, rel=0.05)
    deviations = (np.bincount(items, minlength=n_items) - expected) / np.sqrt(expected)
    assert np.abs(deviations).max() < 4.5


def test_windows_cover_a_ring_of_one_item_whole_and_are_empty_without_any() -> None:
    one = Interactions.from_pairs(["a", "b"], ["x", "x"])
    assert sum(named(one, n_items_0=1).values()) == 2 * DRAWS
    none = Interactions.from_pairs([], [])
    assert not named(none, n_items_0=0)
