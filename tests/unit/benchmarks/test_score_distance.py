"""The distance between two models' scores, against every score written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alteraser.kinds import kind
from alteraser.model import Parameters
from alteraser.wmf import Wmf
from benchmarks.score_distance import EVERY_PAIR, Pairs, score_distance

SOME = Pairs(users=np.array([0, 5, 3]), items=np.array([1, 8]))


class Squashed(Wmf):
    """A kind whose scores are no inner products."""

    def scores(self, parameters: Parameters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        squashed: NDArray[np.float64] = np.tanh(super().scores(parameters, rows))
        return squashed


def random(seed: int, d: int = 4, scale: float = 1.0) -> Parameters:
    generator = torch.Generator().manual_seed(seed)
    users, items = (scale * torch.randn(n, d, dtype=torch.float64, generator=generator) for n in (7, 9))
    return Parameters(users, items, torch.zeros(0, dtype=torch.float64))


def written_out(model: Wmf, one: Parameters, other: Parameters, pairs: Pairs) -> float:
    rows = np.arange(7)
    difference = model.scores(one, rows) - model.scores(other, rows)
    users = rows if pairs.users is None else pairs.users
    items = np.arange(9) if pairs.items is None else pairs.items
    return float(np.sqrt(sum(difference[u, i] ** 2 for u in users for i in items)))


@pytest.mark.parametrize("pairs", [EVERY_PAIR, SOME, Pairs(items=SOME.items), Pairs(users=SOME.users)])
@pytest.mark.parametrize("model", [Wmf(), Squashed()], ids=["inner products", "other scores"])
@pytest.mark.parametrize("d", [4, 6])
def test_it_is_the_distance_of_the_scores_written_out(model: Wmf, pairs: Pairs, d: int) -> None:
    one, other = random(0), random(1, d)
    assert score_distance(model, one, other, pairs) == pytest.approx(written_out(model, one, other, pairs), rel=1e-12)


def test_models_that_are_close_are_told_apart() -> None:
    one = random(0)
    other = Parameters(one.users + 1e-12 * random(1).users, one.items, one.shared)
    expected = float(((other.users - one.users) @ one.items.T).norm())
    assert score_distance(kind("wmf"), one, other) == pytest.approx(expected, rel=1e-2)


def test_turning_both_factors_is_no_distance() -> None:
    one = random(0)
    turn = torch.linalg.qr(random(2).users[:4]).Q
    assert score_distance(kind("wmf"), one, Parameters(one.users @ turn, one.items @ turn, one.shared)) < 1e-13
