"""The local step knows the gradient a deletion leaves from the deleted terms alone, and touches nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from alteraser.deletions import Deletions
from alteraser.eraser import Forgetting, local_step
from alteraser.model import Progress
from alteraser.pattern import Pattern
from alteraser.snapshot import Snapshot
from alteraser.subproblems import Subproblems
from alteraser.train import CPU
from tests.unit.alteraser.small_model import objective_over, small_data, small_snapshot

DATA = small_data()
USER, OTHER = DATA.users.ids[3], DATA.users.ids[8]
ITEM = DATA.items_of(USER)[0]
SUBJECT = Deletions(subjects=frozenset([USER]))
ROWS = Deletions(pairs=frozenset((OTHER, item) for item in DATA.items_of(OTHER)[:3]))
ALL_ROWS = Deletions(pairs=frozenset((OTHER, item) for item in DATA.items_of(OTHER)))
WHOLE_ITEM = Deletions(items=frozenset([ITEM]))
TWICE = Deletions(frozenset([USER]), frozenset([ITEM]), frozenset([(USER, ITEM)]))
CASES = {
    "subject": SUBJECT,
    "rows": ROWS,
    "all rows of a user": ALL_ROWS,
    "item": WHOLE_ITEM,
    "a pair named three times": TWICE,
    "all at once": SUBJECT | ROWS | WHOLE_ITEM,
}
every_case = pytest.mark.parametrize("deletions", CASES.values(), ids=CASES.keys())


@pytest.fixture(scope="module")
def parent() -> Snapshot:
    return small_snapshot(DATA)


@every_case
def test_its_gradient_is_the_whole_objectives_on_the_rows_that_lost_something(
    parent: Snapshot, deletions: Deletions
) -> None:
    forgetting = Forgetting.of(parent, deletions, CPU)
    objective = objective_over(forgetting.kept, parent.hyperparameters)
    _, gradient = objective.value_and_gradient(forgetting.carried_over())
    step = forgetting.objective.local_step(forgetting.warm, forgetting.removed)
    assert np.array_equal(step.user_rows.numpy(), forgetting.changed_users)
    assert np.array_equal(step.item_rows.numpy(), forgetting.changed_items)
    of_users, of_items = gradient.users[step.user_rows], gradient.items[step.item_rows]
    norms = torch.cat([of_users.norm(dim=1), of_items.norm(dim=1)])
    assert step.gradient == pytest.approx(float(norms.norm()), rel=1e-6)
    assert step.worst_block == pytest.approx(float(norms.max()), rel=1e-6)
    h, kept = parent.hyperparameters, forgetting.kept
    alpha0, reg = float(h["alpha0"]), float(h["reg"])
    for csr, n_others, n_others_0, others, rows, wanted, found in (
        (kept.by_user, kept.n_items, h["n_items_0"], forgetting.warm.items, step.user_rows, of_users, step.users),
        (kept.by_item, kept.n_users, h["n_users_0"], forgetting.warm.users, step.item_rows, of_items, step.items),
    ):
        subproblems = Subproblems(Pattern(csr, n_others, CPU), alpha0, reg * alpha0 * float(n_others_0), reg)
        expected = -subproblems.typical(others).times(wanted.float(), rows).double()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_where_all_rows_stay_it_is_all_of_the_gradient(parent: Snapshot) -> None:
    forgetting = Forgetting.of(parent, ROWS, CPU)
    objective = objective_over(forgetting.kept, parent.hyperparameters)
    _, gradient = objective.value_and_gradient(forgetting.carried_over())
    assert forgetting.kept.n_users == DATA.n_users
    assert local_step(forgetting).gradient == pytest.approx(gradient.norm(), rel=1e-6)


@every_case
def test_only_changed_rows_move_and_the_objective_falls(parent: Snapshot, deletions: Deletions) -> None:
    forgetting = Forgetting.of(parent, deletions, CPU)
    before, told = forgetting.carried_over(), list[Progress]()
    step = local_step(forgetting, told.append)
    assert [progress.phase for progress in told] == ["local"]
    users, items = before.users.clone(), before.items.clone()
    users[step.user_rows] += step.users
    items[step.item_rows] += step.items
    assert torch.equal(forgetting.warm.users, users)
    assert torch.equal(forgetting.warm.items, items)
    objective = objective_over(forgetting.kept, parent.hyperparameters)
    assert objective.value_and_gradient(forgetting.warm)[0] < objective.value_and_gradient(before)[0]


@every_case
def test_the_parent_is_not_written_to(parent: Snapshot, deletions: Deletions) -> None:
    users, items = parent.parameters.users.clone(), parent.parameters.items.clone()
    local_step(Forgetting.of(parent, deletions, CPU))
    assert torch.equal(parent.parameters.users, users)
    assert torch.equal(parent.parameters.items, items)


@every_case
def test_no_other_row_is_read_and_no_pass_made_over_the_data(parent: Snapshot, deletions: Deletions) -> None:
    forgetting = Forgetting.of(parent, deletions, CPU)
    expected = forgetting.objective.local_step(forgetting.warm, forgetting.removed)
    removed, passes = forgetting.removed, forgetting.objective.passes
    unread = replace(
        removed.before,
        users=_nan_except(removed.before.users, removed.users),
        items=_nan_except(removed.before.items, removed.items),
    )
    warm = replace(
        forgetting.warm,
        users=_nan_except(forgetting.warm.users, expected.user_rows),
        items=_nan_except(forgetting.warm.items, expected.item_rows),
    )
    found = forgetting.objective.local_step(warm, replace(removed, before=unread))
    assert torch.equal(found.users, expected.users)
    assert torch.equal(found.items, expected.items)
    assert found.gradient == expected.gradient
    assert forgetting.objective.passes == passes


def _nan_except(factors: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    found = torch.full_like(factors, torch.nan)
    found[rows] = factors[rows]
    return found


def test_nothing_to_delete_moves_nothing(parent: Snapshot) -> None:
    forgetting = Forgetting.of(parent, Deletions(subjects=frozenset(["never seen"])), CPU)
    step = local_step(forgetting)
    assert len(step.user_rows) == len(step.item_rows) == 0
    assert step.gradient == step.worst_block == 0.0
    assert torch.equal(forgetting.warm.users, parent.parameters.users)


def test_a_pair_named_more_than_once_is_taken_away_once(parent: Snapshot) -> None:
    both = Deletions(subjects=frozenset([USER]), items=frozenset([ITEM]))
    once, thrice = (Forgetting.of(parent, deletions, CPU) for deletions in (both, TWICE))
    assert len(once.removed.users) == len(thrice.removed.users)
    assert local_step(once).gradient == local_step(thrice).gradient


def test_a_user_whose_rows_all_go_leaves_as_a_subject_would(parent: Snapshot) -> None:
    by_rows = Forgetting.of(parent, ALL_ROWS, CPU)
    at_once = Forgetting.of(parent, Deletions(subjects=frozenset([OTHER])), CPU)
    local_step(by_rows)
    local_step(at_once)
    assert by_rows.what_left() == at_once.what_left()
    assert torch.equal(by_rows.warm.items, at_once.warm.items)
