"""Unlearning a neural model arrives where its own basin's solution on what is left lies, whatever is deleted."""

from __future__ import annotations

import pytest
import torch

from alteraser.deletions import Deletions
from alteraser.eraser import Forgetting, local_step, retrain, unlearn
from alteraser.influence import residual_influence
from alteraser.model import silent
from alteraser.neumf import Neumf
from alteraser.report import Removed
from alteraser.snapshot import Snapshot
from alteraser.solve import newton
from alteraser.train import CPU
from tests.unit.alteraser.small_model import PARENT_DIGEST, small_data
from tests.unit.alteraser.small_neumf import objective_over, scores_of, snapshot_of

DATA = small_data()
USER, OTHER = DATA.users.ids[3], DATA.users.ids[8]
SUBJECT = Deletions(subjects=frozenset([USER]))
ITEM = Deletions(items=frozenset([DATA.items_of(USER)[0]]))
ROWS = Deletions(pairs=frozenset((OTHER, item) for item in DATA.items_of(OTHER)[:3]))
CASES = {"subject": SUBJECT, "item": ITEM, "rows": ROWS, "all": SUBJECT | ITEM | ROWS}
every_case = pytest.mark.parametrize("deletions", CASES.values(), ids=CASES.keys())


@pytest.fixture(scope="module")
def parent() -> Snapshot:
    return snapshot_of(DATA)


def child_of(parent: Snapshot, deletions: Deletions, tolerance: float = 1e-6) -> Snapshot:
    return unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance).snapshot


def test_training_ends_at_a_minimum(parent: Snapshot) -> None:
    objective = objective_over(DATA, parent.hyperparameters)
    _, gradient = objective.value_and_gradient(parent.parameters)
    assert gradient.norm() <= 1e-9 * objective.gradient_scale(parent.parameters)
    assert bool((parent.parameters.users.abs().sum(dim=0) > 0.1).any())


@every_case
def test_at_the_tolerance_shipped_hardly_any_influence_is_left(parent: Snapshot, deletions: Deletions) -> None:
    forgetting = Forgetting.of(parent, deletions, CPU)
    before = forgetting.carried_over()
    _, gradient = forgetting.objective.value_and_gradient(before)
    oracle = newton(forgetting.objective, before, target=1e-7 * gradient.norm(), scale=1.0, watch=silent).parameters
    after = unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST).snapshot.parameters
    local_step(forgetting)
    kind = Neumf()
    assert residual_influence(kind, before, after, oracle) < 1e-2
    assert residual_influence(kind, before, forgetting.warm, oracle) < 1.0


@every_case
def test_what_was_deleted_is_in_no_part_of_the_child(parent: Snapshot, deletions: Deletions) -> None:
    child = child_of(parent, deletions, tolerance=1e-2)
    assert not deletions.subjects & set(child.interactions.users.ids)
    assert not deletions.items & set(child.interactions.items.ids)
    assert len(child.parameters.users) == child.interactions.n_users
    assert len(child.parameters.items) == child.interactions.n_items


@every_case
def test_the_child_is_stationary_on_what_is_left_and_its_parent_is_not(parent: Snapshot, deletions: Deletions) -> None:
    child = child_of(parent, deletions)
    forgetting = Forgetting.of(parent, deletions, CPU)
    objective = objective_over(child.interactions, parent.hyperparameters)
    _, left = objective.value_and_gradient(forgetting.carried_over())
    _, gradient = objective.value_and_gradient(child.parameters)
    assert gradient.norm() <= 1e-6 * left.norm()


def test_a_local_step_is_measured_against_all_that_the_deletion_left(parent: Snapshot) -> None:
    forgetting = Forgetting.of(parent, SUBJECT, CPU)
    _, gradient = forgetting.objective.value_and_gradient(forgetting.warm)
    step = forgetting.objective.local_step(forgetting.warm, forgetting.removed)
    assert step.gradient == pytest.approx(gradient.norm(), rel=1e-12)
    assert step.worst_block == pytest.approx(gradient.worst_block(), rel=1e-12)


@pytest.mark.parametrize("deletions", [Deletions(), Deletions(subjects=frozenset(["never seen"]))])
def test_deleting_nothing_is_the_identity(parent: Snapshot, deletions: Deletions) -> None:
    unlearned = unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST)
    assert unlearned.report.removed == Removed()
    assert unlearned.report.residual_before == 0.0
    torch.testing.assert_close(scores_of(unlearned.snapshot), scores_of(parent), rtol=0, atol=1e-6)


def test_the_order_of_deletions_does_not_matter(parent: Snapshot) -> None:
    one = child_of(child_of(parent, SUBJECT), ROWS)
    other = child_of(child_of(parent, ROWS), SUBJECT)
    assert one.interactions.digest() == other.interactions.digest()
    torch.testing.assert_close(scores_of(one), scores_of(other), rtol=0, atol=1e-4)


def test_what_is_added_and_deleted_again_leaves_the_model_as_it_was(parent: Snapshot) -> None:
    without = child_of(parent, SUBJECT)
    again = snapshot_of(DATA)  # trained with the user, as the parent was
    torch.testing.assert_close(scores_of(child_of(again, SUBJECT)), scores_of(without), rtol=0, atol=1e-4)


def test_a_retraining_ends_at_a_minimum_of_its_own(parent: Snapshot) -> None:
    retrained = retrain(parent, SUBJECT, watermark=1, parent_digest=PARENT_DIGEST, seed=7, tolerance=1e-4)
    assert retrained.report.residual <= 1e-4
    assert retrained.report.least_curvature > 0


def test_a_user_whose_rows_all_go_is_forgotten_with_everything(parent: Snapshot) -> None:
    rows = Deletions(pairs=frozenset((USER, item) for item in DATA.items_of(USER)))
    by_rows, at_once = child_of(parent, rows), child_of(parent, SUBJECT)
    assert by_rows.interactions.digest() == at_once.interactions.digest()
    torch.testing.assert_close(scores_of(by_rows), scores_of(at_once), rtol=0, atol=1e-4)


def test_everything_can_be_forgotten(parent: Snapshot) -> None:
    child = child_of(parent, Deletions(subjects=frozenset(DATA.users.ids)))
    assert len(child.interactions) == 0
    assert len(child.parameters.users) == len(child.parameters.items) == 0
