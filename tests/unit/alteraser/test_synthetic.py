"""Made-up data: its size, its shape and that a seed fixes it."""

from __future__ import annotations

import numpy as np
import pytest

from alteraser.errors import ImpossibleSize
from alteraser.interactions import Interactions
from alteraser.synthetic import synthetic, titles

LOG = synthetic(n_users=300, n_items=200, n_interactions=6000, seed=1)
DATA = Interactions.from_pairs(LOG.users, LOG.items)


def test_exactly_the_interactions_asked_for_are_made() -> None:
    assert len(LOG) == len(DATA) == 6000


def test_every_user_has_at_least_one() -> None:
    assert DATA.n_users == 300


def test_one_each_is_possible_and_so_is_everything() -> None:
    for n_interactions in (7, 7 * 5):
        log = synthetic(7, 5, n_interactions, seed=1)
        data = Interactions.from_pairs(log.users, log.items)
        assert (len(data), data.n_users) == (n_interactions, 7)


@pytest.mark.parametrize(("n_users", "n_items", "n_interactions"), [(3, 3, 10), (3, 3, 2), (0, 3, 0), (3, 0, 3)])
def test_an_impossible_size_is_refused(n_users: int, n_items: int, n_interactions: int) -> None:
    with pytest.raises(ImpossibleSize):
        synthetic(n_users, n_items, n_interactions, seed=1)


def test_a_seed_fixes_everything() -> None:
    again, other = synthetic(300, 200, 6000, seed=1), synthetic(300, 200, 6000, seed=2)
    for name in ("users", "items", "ratings", "times"):
        assert np.array_equal(getattr(LOG, name), getattr(again, name))
        assert not np.array_equal(getattr(LOG, name), getattr(other, name))


def test_a_tenth_of_the_items_takes_more_than_its_share() -> None:
    counts = np.sort(DATA.by_item.counts)[::-1]
    assert counts[:20].sum() > 2 * 6000 / 10


def test_rows_come_in_order_of_time_with_ratings_from_one_to_five() -> None:
    assert LOG.times is not None
    assert LOG.ratings is not None
    assert (np.diff(LOG.times) >= 0).all()
    assert set(LOG.ratings) == {1, 2, 3, 4, 5}


def test_every_item_has_a_title_of_its_own() -> None:
    found = titles(1000)
    assert list(found) == [str(item) for item in range(1, 1001)]
    assert len(set(found.values())) == 1000
