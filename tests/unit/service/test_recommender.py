"""The list made of scores."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from alteraser.interactions import Interactions
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot
from service.recommender import POPULARITY_STEP, Live, Query, in_steps, top_rows

USERS = ["ann", "ann", "bob", "bob", "bob", "cec"]
ITEMS = ["i0", "i1", "i1", "i2", "i3", "i1"]


def made() -> Live:
    """Three users, four items; a user's score of an item is the item's row, times one more than the user's."""
    parameters = Parameters(
        users=torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64),
        items=torch.tensor([[0.0], [1.0], [2.0], [3.0]], dtype=torch.float64),
        shared=torch.zeros(0, dtype=torch.float64),
    )
    data = Interactions.from_pairs(USERS, ITEMS)
    return Live.of("main", 1, "d" * 64, Snapshot("wmf", {}, parameters, data, 5, parent=None, residual=0.0))


LIVE = made()


def ids(row: int | None, query: Query, hidden: frozenset[str] = frozenset()) -> list[str]:
    return [shown.item for shown in LIVE.recommend(row, query, hidden.__contains__, len(hidden))]


@given(st.lists(st.integers(-3, 3), max_size=40), st.integers(1, 50))
def test_the_top_rows_are_those_of_a_full_sort_with_equals_by_row(values: list[int], n: int) -> None:
    expected = sorted(range(len(values)), key=lambda row: (-values[row], row))[:n]
    assert top_rows(np.array(values, dtype=np.float64), n).tolist() == expected


def test_a_known_user_gets_the_models_order_without_what_was_seen() -> None:
    assert ids(0, Query()) == ["i3", "i2"]
    assert ids(0, Query(exclude_seen=False)) == ["i3", "i2", "i1", "i0"]


def test_scores_are_the_models_for_the_known_and_shares_of_users_for_the_unknown() -> None:
    known = LIVE.recommend(2, Query(n=1), lambda _: False, 0)
    unknown = LIVE.recommend(None, Query(n=1), lambda _: False, 0)
    assert [(shown.item, shown.score) for shown in known] == [("i3", 9.0)]
    assert [(shown.item, shown.score) for shown in unknown] == [("i1", 1.0)]


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=20))
def test_shares_are_told_in_steps_below_them_and_in_their_order(shares: list[float]) -> None:
    told = in_steps(np.array(shares))
    assert (told <= np.array(shares) * (1 + 1e-12)).all()
    assert (np.array(shares) < told * POPULARITY_STEP * (1 + 1e-12)).all()
    assert (np.diff(told[np.argsort(shares)]) >= 0).all()
    assert in_steps(np.zeros(2)).tolist() == [0.0, 0.0]


def test_one_persons_deletion_leaves_nearly_every_told_share_as_it_was() -> None:
    counts = np.random.default_rng(0).integers(50, 500, 1000)
    theirs = np.arange(60)
    after = counts.copy()
    after[theirs] -= 1
    exact, told = ((np.array(counts) / 1000, after / 1000)), (in_steps(counts / 1000), in_steps(after / 1000))
    assert (exact[0] != exact[1]).sum() == len(theirs)
    assert (told[0] != told[1]).sum() < len(theirs) / 5


def test_the_unknown_get_the_popular_ones_with_equals_by_row() -> None:
    assert ids(None, Query()) == ["i1", "i0", "i2", "i3"]
    assert ids(None, Query(exclude_seen=False)) == ids(None, Query())


@given(hidden=st.sets(st.sampled_from(["i0", "i1", "i2", "i3"])), n=st.integers(1, 6))
def test_hidden_items_leave_the_list_and_others_move_up(hidden: set[str], n: int) -> None:
    everything = ids(1, Query(n=4, exclude_seen=False))
    expected = [item for item in everything if item not in hidden][:n]
    assert ids(1, Query(n=n, exclude_seen=False), frozenset(hidden)) == expected


def test_candidates_and_exclusions_hold_for_known_and_unknown_alike() -> None:
    query = Query(candidates=["i0", "i3", "unheard-of"], exclude=["i3", "never"])
    assert ids(1, query) == ids(None, query) == ["i0"]
    assert ids(None, Query(candidates=[])) == []
