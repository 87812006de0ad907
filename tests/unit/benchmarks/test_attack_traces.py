"""Traces against dense formulas, and what they must and must not react to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from alteraser.deletions import Deletions
from alteraser.interactions import Interactions, Vocabulary
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot
from benchmarks.shadows import dropped
from benchmarks.traces import (
    ATTACKERS,
    MOST_LEFT_OUT,
    TRACES,
    aim,
    fit,
    gain,
    left_out,
    nearest,
    share,
    together,
    traces_of,
)
from tests.unit.alteraser.small_model import dense_gradient, dense_value, small_data, small_snapshot

ITEMS = np.array([1, 4, 7, 12])


@pytest.fixture(scope="module")
def model() -> Snapshot:
    return small_snapshot(small_data())


def alone(model: Snapshot, items: NDArray[np.int64]) -> Interactions:
    return Interactions.from_rows(Vocabulary(("u",)), model.interactions.items, np.zeros(len(items), np.int64), items)


def shaken(model: Snapshot) -> Snapshot:
    """The model away from its minimum."""
    at, generator = model.parameters, torch.Generator().manual_seed(1)
    items = at.items + 0.1 * torch.randn(at.items.shape, generator=generator, dtype=at.items.dtype)
    return replace(model, parameters=replace(at, items=items))


def best_row(model: Snapshot, items: NDArray[np.int64]) -> torch.Tensor:
    """The row of a user with these items, from the normal equations."""
    h, Q = model.hyperparameters, model.parameters.items
    alpha0, reg = float(h["alpha0"]), float(h["reg"])
    met = Q[torch.from_numpy(items)]
    l2 = reg * (len(items) + alpha0 * float(h["n_items_0"]))
    H = met.T @ met + alpha0 * Q.T @ Q + l2 * torch.eye(Q.shape[1], dtype=Q.dtype)
    row: torch.Tensor = torch.linalg.solve(H, met.sum(dim=0))
    return row


def test_the_gain_is_the_loss_that_the_best_row_takes_away(model: Snapshot) -> None:
    data, Q = alone(model, ITEMS), model.parameters.items
    row = best_row(model, ITEMS)[None]
    expected = dense_value(data, model.hyperparameters, torch.zeros_like(row), Q)
    expected = expected - dense_value(data, model.hyperparameters, row, Q)
    assert gain(model, ITEMS) == pytest.approx(float(expected), rel=1e-5)


def test_the_fit_is_the_mean_score_of_the_items_less_that_of_all(model: Snapshot) -> None:
    scores = model.parameters.items @ best_row(model, ITEMS)
    assert fit(model, ITEMS) == pytest.approx(float(scores[ITEMS].mean() - scores.mean()), rel=1e-4)


def test_each_item_is_predicted_from_the_others(model: Snapshot) -> None:
    Q = model.parameters.items
    scores = [float(Q[item] @ best_row(model, np.setdiff1d(ITEMS, item))) for item in ITEMS]
    assert left_out(model, ITEMS) == pytest.approx(np.mean(scores), rel=1e-4)


def test_of_many_items_some_are_left_out() -> None:
    model = small_snapshot(small_data(n_items=200, n_interactions=900))
    items = np.arange(0, 160, 2)
    scores = [float(model.parameters.items[i] @ best_row(model, np.setdiff1d(items, i))) for i in items[::2]]
    assert len(scores) <= MOST_LEFT_OUT < len(items)
    assert left_out(model, items) == pytest.approx(np.mean(scores), rel=1e-3)


def test_items_are_together_as_far_as_their_columns_correlate(model: Snapshot) -> None:
    scores = (model.parameters.users @ model.parameters.items.T).numpy()
    pairs = [np.corrcoef(scores[:, i], scores[:, j])[0, 1] for i in ITEMS for j in ITEMS if i < j]
    assert together(model, ITEMS) == pytest.approx(np.mean(pairs))


def test_the_nearest_row_is_looked_for_among_all(model: Snapshot) -> None:
    scores = (model.parameters.users @ model.parameters.items.T).numpy()
    apart = [row[ITEMS].mean() - row.mean() for row in scores]
    assert nearest(model, ITEMS) == pytest.approx(max(apart))


def test_the_aim_is_the_cosine_with_the_missing_gradient(model: Snapshot) -> None:
    data, at = model.interactions, model.parameters
    moved = shaken(model)
    row = best_row(moved, ITEMS)[None]
    pairs = np.repeat(np.arange(data.n_users), data.by_user.counts), data.by_user.indices.astype(np.int64)
    users, items = np.append(pairs[0], np.full(len(ITEMS), data.n_users)), np.append(pairs[1], ITEMS)
    joined = Interactions.from_rows(Vocabulary((*data.users.ids, "target")), data.items, users, items)
    Q, h = moved.parameters.items, model.hyperparameters
    left = dense_gradient(data, h, moved.parameters).items
    own = dense_gradient(joined, h, Parameters(torch.cat([at.users, row]), Q, at.shared)).items - left
    assert aim(moved, ITEMS) == pytest.approx(-float((own * left).sum() / (own.norm() * left.norm())), abs=1e-4)


def test_the_share_is_of_the_squared_gradient(model: Snapshot) -> None:
    moved = shaken(model)
    left = dense_gradient(moved.interactions, moved.hyperparameters, moved.parameters).items.square()
    assert share(moved, ITEMS) == pytest.approx(float(left[ITEMS].sum() / left.sum()))


def test_what_is_missing_after_a_row_was_only_dropped_points_at_its_user(model: Snapshot) -> None:
    user = model.interactions.users.ids[3]
    left = dropped(model, [user])
    items = np.sort(left.interactions.items.rows(model.interactions.items_of(user)))
    assert aim(left, items) == pytest.approx(1.0, abs=1e-3)
    assert share(left, items) > 0.5


def test_no_trace_looks_at_names_or_at_what_the_model_does_not_know(model: Snapshot) -> None:
    data = model.interactions
    names = Vocabulary(tuple(f"user {k}" for k in range(data.n_users)))
    renamed = replace(model, interactions=replace(data, users=names))
    ids = [data.items.ids[item] for item in ITEMS]
    assert traces_of(renamed, [*reversed(ids), "unknown"]) == traces_of(model, ids)


def test_every_trace_belongs_to_one_attacker() -> None:
    assert sorted(name for names in ATTACKERS.values() for name in names) == sorted(TRACES)


def test_dropping_a_row_drops_the_row_and_changes_nothing_else(model: Snapshot) -> None:
    user = model.interactions.users.ids[5]
    left = dropped(model, [user])
    assert left.interactions.digest() == model.interactions.without(Deletions(subjects=frozenset([user]))).digest()
    assert torch.equal(left.parameters.users, torch.cat([model.parameters.users[:5], model.parameters.users[6:]]))
    kept = model.interactions.items.rows(left.interactions.items.ids)
    assert torch.equal(left.parameters.items, model.parameters.items[kept])
