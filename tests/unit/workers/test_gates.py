"""The gates, on a tiny model that is really trained and really unlearned."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from alteraser.deletions import Deletions
from alteraser.eraser import Unlearned, unlearn
from alteraser.model import Parameters
from alteraser.snapshot import Snapshot
from workers import gates
from workers.gates import Verdict


@pytest.fixture(scope="module")
def unlearned(parent: Snapshot, deletions: Deletions) -> Unlearned:
    return unlearn(parent, deletions, watermark=1, parent_digest="0" * 64)


def with_items(snapshot: Snapshot, items: torch.Tensor) -> Snapshot:
    return replace(snapshot, parameters=Parameters(snapshot.parameters.users, items, snapshot.parameters.shared))


def test_an_unlearned_child_passes_every_gate(parent: Snapshot, deletions: Deletions, unlearned: Unlearned) -> None:
    child = unlearned.snapshot
    verdicts = [
        gates.converged(unlearned.report),
        gates.absent(child, deletions),
        gates.finite(child),
        gates.accurate(child, parent, bound=0.02, n_users=500),
    ]
    assert [verdict.gate for verdict in verdicts if not verdict.passed] == []


def test_a_residual_above_its_tolerance_does_not_pass(unlearned: Unlearned) -> None:
    report = replace(unlearned.report, residual=2 * unlearned.report.tolerance)
    assert not gates.converged(report).passed


def test_a_residual_that_is_no_number_does_not_pass(unlearned: Unlearned) -> None:
    assert not gates.converged(replace(unlearned.report, residual=math.nan)).passed


def test_whatever_of_a_deletion_is_still_named_is_counted(parent: Snapshot) -> None:
    user, item = parent.interactions.users.ids[0], parent.interactions.items.ids[0]
    pair = (user, parent.interactions.items_of(user)[0])
    asked = Deletions(frozenset({user}), frozenset({item}), frozenset({pair}))
    assert gates.absent(parent, asked) == Verdict("absent", measured=3, bound=0)


def test_a_pair_is_absent_where_its_user_and_item_stay_apart(parent: Snapshot) -> None:
    user = parent.interactions.users.ids[0]
    apart = next(item for item in parent.interactions.items.ids if item not in parent.interactions.items_of(user))
    asked = Deletions(pairs=frozenset({(user, apart), ("nobody", apart), (user, "nothing")}))
    assert gates.absent(parent, asked).passed


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_one_number_that_is_not_finite_is_found(parent: Snapshot, poison: float) -> None:
    items = parent.parameters.items.clone()
    items[3, 1] = poison
    assert gates.finite(with_items(parent, items)) == Verdict("finite", measured=1, bound=0)


def test_a_child_that_recommends_at_random_is_not_accurate(parent: Snapshot, unlearned: Unlearned) -> None:
    child = unlearned.snapshot
    noise = torch.randn(child.parameters.items.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert not gates.accurate(with_items(child, noise), parent, bound=0.02, n_users=500).passed


def test_nothing_falls_where_nothing_changes(parent: Snapshot) -> None:
    assert gates.accurate(parent, parent, bound=0, n_users=10) == Verdict("accurate", measured=0, bound=0)


def test_a_child_without_data_has_no_accuracy_to_lose(parent: Snapshot) -> None:
    everybody = Deletions(subjects=frozenset(parent.interactions.users.ids))
    empty = replace(
        parent,
        interactions=parent.interactions.without(everybody),
        parameters=replace(parent.parameters, users=parent.parameters.users[:0], items=parent.parameters.items[:0]),
    )
    assert gates.accurate(empty, parent, bound=0, n_users=10).passed


def test_training_recall_is_the_share_of_a_users_items_among_the_ten_best(parent: Snapshot) -> None:
    data = parent.interactions
    scores = (parent.parameters.users @ parent.parameters.items.T).numpy()
    best = np.argsort(-scores, axis=1, kind="stable")[:, : gates.RECALL_AT]
    rows = np.array([2, 5, 11])
    slow = [np.isin(best[row], data.by_user.row(row)).sum() / len(data.by_user.row(row)) for row in rows]
    assert gates.training_recall(parent, data, rows) == pytest.approx(np.mean(slow))


def test_a_refusal_names_the_gates_that_did_not_pass_and_their_numbers() -> None:
    verdicts = [Verdict("finite", 0, 0), Verdict("absent", 2, 0), Verdict("accurate", 0.5, 0.02)]
    assert gates.refusal(verdicts) == "absent 2 > 0, accurate 0.5 > 0.02"
