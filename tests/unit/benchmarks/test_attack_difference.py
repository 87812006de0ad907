"""The difference attack where the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from alteraser.model import Parameters
from alteraser.snapshot import Snapshot
from benchmarks import difference
from benchmarks.difference import (
    BATCH,
    OBSERVERS,
    every_score,
    fallen_together,
    guessed,
    popular,
    recovered,
    shown_to_accounts,
    shown_to_strangers,
)
from benchmarks.shadows import dropped
from tests.unit.alteraser.small_model import small_data, small_snapshot


@pytest.fixture(scope="module")
def live() -> Snapshot:
    return small_snapshot(small_data(n_users=120, n_items=40, n_interactions=1500))


def pushed_down(live: Snapshot, user: str) -> tuple[Snapshot, Snapshot]:
    """The live model, and one without the user in which just the user's items fell for everybody, others rose a bit."""
    after = dropped(live, [user])
    row = live.parameters.users[live.interactions.users.rows([user])[0]]
    met = after.interactions.items.rows(live.interactions.items_of(user))
    step = torch.full((after.interactions.n_items, 1), 0.01, dtype=row.dtype)
    step[torch.from_numpy(met)] = -0.1
    at = after.parameters
    return live, replace(after, parameters=Parameters(at.users, at.items + step * row, at.shared))


@pytest.mark.parametrize("look", [every_score, shown_to_accounts, shown_to_strangers])
def test_a_difference_that_tells_everything_gives_every_item_away(live: Snapshot, look: difference.Observer) -> None:
    user = live.interactions.users.ids[11]
    evidence, *_ = look(*pushed_down(live, user))
    assert guessed(evidence, live.interactions, user) == (1.0, 1.0)


def test_nothing_is_told_to_who_does_not_look(live: Snapshot) -> None:
    user = live.interactions.users.ids[11]
    before, after = pushed_down(live, user)
    (evidence,) = popular(before, after)
    assert evidence.tolist() == live.interactions.by_item.counts.tolist()
    auc, precision = guessed(evidence, live.interactions, user)
    assert 0 < precision < 1
    assert 0.5 < auc < 1


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_the_strongest_direction_is_that_of_the_singular_vectors(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    u, v = np.abs(generator.normal(size=shape[0])), generator.normal(size=shape[1])
    change = np.outer(u, v) + 0.01 * generator.normal(size=shape)
    found = fallen_together(change)
    sign = np.sign(found[np.abs(v).argmax()])
    assert sign > 0
    assert abs(np.corrcoef(found, v)[0, 1]) > 0.999


def test_items_that_left_with_a_user_are_known_to_have_been_the_user_s() -> None:
    data = small_data()
    lonely = next(item for item in range(data.n_items) if data.by_item.counts[item] == data.by_item.counts.min())
    assert data.by_item.counts[lonely] >= 1
    users = frozenset(data.users.ids[row] for row in data.by_item.row(lonely))
    live = small_snapshot(data)
    (evidence,) = shown_to_strangers(live, dropped(live, sorted(users)))
    assert evidence[lonely] == np.inf


def test_guesses_are_reported_for_every_observer_alone_and_in_a_batch(live: Snapshot) -> None:
    rows = recovered(live, 3, draw=0)
    assert [(row["deleted at once"], row["attacker sees"]) for row in rows] == [
        (size, observer) for size in (1, BATCH) for observer in OBSERVERS
    ]
    found = {(row["deleted at once"], row["attacker sees"]): row["precision"] for row in rows}
    strangers = "popularity list with its shares"
    assert found[1, strangers] == 1.0
    assert found[BATCH, strangers] < 0.9
    assert found[1, "parameters"] > found[BATCH, "parameters"]
