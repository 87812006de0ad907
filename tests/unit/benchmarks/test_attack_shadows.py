"""Shadows: opposite halves, everybody in half of them, and what is observed belongs to the right world."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.canaries import Target
from benchmarks.membership import Observed
from benchmarks.observations import RETRAINED, TREATMENTS, observed
from benchmarks.shadows import Plan
from tests.unit.alteraser.small_model import GIVEN, small_data

DATA = small_data(n_users=60)
POOL = DATA.users.ids[:6]


def plan(unknown: float = 0.0, seed: int = 0) -> Plan:
    return Plan("wmf", GIVEN, DATA, POOL, unknown, seed)


def test_every_target_is_in_exactly_one_shadow_of_each_pair() -> None:
    left_out = list(plan().halves(5, stream=0))
    for one, other in zip(left_out[::2], left_out[1::2], strict=True):
        assert one | other == set(POOL)
        assert not one & other
        assert len(one) == len(POOL) / 2
    assert len(set(left_out)) > 2


def test_the_users_to_be_guessed_are_the_same_and_their_halves_are_not() -> None:
    left_out = list(plan(unknown=0.5).halves(8, stream=0))
    guessed = Counter(id for ids in left_out for id in ids - set(POOL))
    assert len(guessed) == (DATA.n_users - len(POOL)) // 2
    assert set(guessed.values()) == {8}


def test_another_stream_and_another_seed_draw_other_halves() -> None:
    halves = [tuple(plan(seed=seed).halves(6, stream)) for seed, stream in ((0, 0), (0, 1), (1, 0))]
    assert len(set(halves)) == 3
    assert tuple(plan().halves(6, 0)) == halves[0]


def test_shadows_are_trained_without_those_left_out_and_with_the_constants_of_everybody() -> None:
    shadows = list(plan().shadows(2, stream=0))
    for shadow in shadows:
        assert {user for user in POOL if user in shadow.snapshot.interactions.users} == shadow.members
        assert shadow.snapshot.hyperparameters["n_users_0"] == DATA.n_users
    assert len(shadows) == 2


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, list[Observed]]]:
    targets = [Target(user, "all") for user in POOL]
    return observed(plan(), targets, 4)


def test_every_target_is_observed_as_often_with_as_without_by_every_method(
    found: dict[str, dict[str, list[Observed]]],
) -> None:
    assert list(found) == [*TREATMENTS, RETRAINED]
    for groups in found.values():
        assert len(groups["all"]) == len(POOL)
        for one in groups["all"]:
            assert one.member.sum() == (~one.member).sum() == 2


def test_a_dropped_row_is_seen_in_the_gradient(found: dict[str, dict[str, list[Observed]]]) -> None:
    def aims(method: str, *, member: bool) -> NDArray[np.float64]:
        return np.concatenate([one.statistics["aim"][one.member == member] for one in found[method]["all"]])

    assert aims("drop-row", member=True) == pytest.approx(1.0, abs=1e-2)
    assert np.abs(aims("drop-row", member=False)).max() < 0.95
    assert np.abs(aims(RETRAINED, member=True)).max() < 0.95
