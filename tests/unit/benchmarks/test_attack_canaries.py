"""Who is attacked: the groups are what they are said to be, and canaries disturb nobody."""

from __future__ import annotations

import numpy as np
import pytest

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions
from benchmarks.attack import targets_of
from benchmarks.canaries import CANARY, CANARY_ITEMS, GROUPS, RARE_LEAST, USERS_OF, chosen, planted
from tests.unit.alteraser.small_model import small_data


@pytest.fixture(scope="module")
def data() -> Interactions:
    return small_data(n_users=200, n_items=300, n_interactions=6000)


def test_canaries_come_after_everybody_and_leave_no_trace_of_their_own_in_the_vocabulary(data: Interactions) -> None:
    with_canaries, canaries = planted(data, 5, draw=0)
    names = frozenset(target.user for target in canaries)
    assert {target.group for target in canaries} == {CANARY}
    assert with_canaries.users.ids[: data.n_users] == data.users.ids
    assert with_canaries.without(Deletions(subjects=names)).digest() == data.digest()


def test_a_canary_meets_unlikely_items_that_others_have_met(data: Interactions) -> None:
    with_canaries, canaries = planted(data, 5, draw=0)
    popular = np.median(data.by_item.counts[data.by_item.counts >= RARE_LEAST])
    for canary in canaries:
        counts = data.by_item.counts[data.items.rows(with_canaries.items_of(canary.user))]
        assert len(counts) == CANARY_ITEMS
        assert counts.min() >= RARE_LEAST
        assert counts.max() <= popular


def test_canaries_are_drawn_again_by_their_seed_alone(data: Interactions) -> None:
    assert planted(data, 3, draw=1)[0].digest() == planted(data, 3, draw=1)[0].digest()
    assert planted(data, 3, draw=1)[0].digest() != planted(data, 3, draw=2)[0].digest()


def test_the_groups_are_ordered_by_what_they_are_named_for(data: Interactions) -> None:
    counts = data.by_user.counts
    rarity = np.array([np.log(data.by_item.counts[data.by_user.row(row)]).mean() for row in range(data.n_users)])
    rows = {group: data.users.rows([t.user for t in chosen(data, group, 4, draw=0)]) for group in USERS_OF}
    assert (
        np.abs(counts[rows["median"]] - np.median(counts)).max() <= np.abs(counts[rows["heavy"]] - counts.mean()).min()
    )
    assert counts[rows["heavy"]].min() >= np.quantile(counts, 0.97)
    assert rarity[rows["outlier"]].max() <= np.quantile(rarity[counts >= 20], 0.1)
    assert all(len(set(each.tolist())) == 4 for each in rows.values())


def test_nobody_is_attacked_in_two_groups(data: Interactions) -> None:
    _, targets = targets_of(data, GROUPS, 30, seed=0)
    assert len({target.user for target in targets}) == len(targets)


def test_canaries_are_planted_only_where_they_are_asked_for(data: Interactions) -> None:
    unchanged, targets = targets_of(data, ["median"], 3, seed=0)
    assert unchanged.digest() == data.digest()
    assert {target.group for target in targets} == {"median"}
