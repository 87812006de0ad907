"""Unlearning is retraining on what is left: exactly, whatever is deleted and in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from alteraser.deletions import Deletions
from alteraser.eraser import Unlearned, retrain, unlearn
from alteraser.errors import NotConverged
from alteraser.influence import residual_influence
from alteraser.kinds import kind
from alteraser.model import Parameters
from alteraser.report import Removed, Report
from alteraser.snapshot import Snapshot
from tests.unit.alteraser.small_model import (
    PARENT_DIGEST,
    SATURATED,
    objective_over,
    scores_of,
    small_data,
    small_snapshot,
)

DATA = small_data()
SUBJECT = Deletions(subjects=frozenset([DATA.users.ids[3]]))
ITEM = Deletions(items=frozenset([DATA.items.ids[0]]))
ROWS = Deletions(pairs=frozenset((DATA.users.ids[8], item) for item in DATA.items_of(DATA.users.ids[8])[:3]))
ALL_KINDS = SUBJECT | ITEM | ROWS
TWICE = SUBJECT | Deletions(pairs=frozenset((DATA.users.ids[3], item) for item in DATA.items_of(DATA.users.ids[3])))
EMPTIED = Deletions(pairs=frozenset((DATA.users.ids[5], item) for item in DATA.items_of(DATA.users.ids[5])))


@pytest.fixture(scope="module")
def parent() -> Snapshot:
    return small_snapshot(DATA)


def child_of(parent: Snapshot, deletions: Deletions, tolerance: float = 1e-7) -> Snapshot:
    return unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance).snapshot


def sigma_of(snapshot: Snapshot) -> float:
    certified = kind("wmf").certify(snapshot.parameters, snapshot.interactions, snapshot.hyperparameters)
    assert certified is not None
    return certified.sigma


@pytest.mark.parametrize(
    "deletions",
    [SUBJECT, ITEM, ROWS, TWICE, EMPTIED, ALL_KINDS],
    ids=["subject", "item", "rows", "subject and its rows", "emptied user", "all"],
)
def test_unlearning_equals_retraining_and_doing_nothing_does_not(parent: Snapshot, deletions: Deletions) -> None:
    child = child_of(parent, deletions)
    retrained = retrain(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, seed=99, tolerance=1e-7).snapshot
    torch.testing.assert_close(scores_of(child), scores_of(retrained), rtol=0, atol=1e-6)
    users = parent.interactions.users.rows(child.interactions.users.ids)
    items = parent.interactions.items.rows(child.interactions.items.ids)
    untouched = scores_of(parent)[users][:, items]
    assert float((untouched - scores_of(retrained)).abs().max()) > 1e-3


def test_what_was_deleted_is_in_no_part_of_the_child(parent: Snapshot) -> None:
    child = child_of(parent, ALL_KINDS)
    assert DATA.users.ids[3] not in child.interactions.users
    assert DATA.items.ids[0] not in child.interactions.items
    assert not set(child.interactions.items_of(DATA.users.ids[8])) & {item for _, item in ROWS.pairs}
    assert child.parameters.users.shape == (DATA.n_users - 1, 6)
    assert (child.watermark, child.parent) == (1, PARENT_DIGEST)


def test_the_report_counts_what_was_removed_and_meets_the_tolerance(parent: Snapshot) -> None:
    unlearned = unlearn(parent, ALL_KINDS, watermark=1, parent_digest=PARENT_DIGEST, tolerance=1e-3)
    report = unlearned.report
    assert report.removed.users == 1
    assert report.removed.items == 1
    assert report.removed.interactions == len(DATA) - len(unlearned.snapshot.interactions)
    assert report.residual <= 1e-3 < report.residual_before == pytest.approx(1.0)
    assert report.least_curvature > 0
    assert unlearned.snapshot.residual == report.residual
    objective = objective_over(unlearned.snapshot.interactions, parent.hyperparameters)
    value, gradient = objective.value_and_gradient(unlearned.snapshot.parameters)
    assert value == pytest.approx(report.objective, rel=1e-14)
    assert report.as_dict()["removed"] == {
        "users": 1,
        "items": 1,
        "interactions": report.removed.interactions,
    }
    assert gradient.norm() > 0


def test_the_report_says_how_far_the_scores_moved_and_where_the_time_went(parent: Snapshot) -> None:
    unlearned = unlearn(parent, ALL_KINDS, watermark=1, parent_digest=PARENT_DIGEST, tolerance=1e-3)
    child, report = unlearned.snapshot, unlearned.report
    users = parent.interactions.users.rows(child.interactions.users.ids)
    items = parent.interactions.items.rows(child.interactions.items.ids)
    moved = float((scores_of(parent)[users][:, items] - scores_of(child)).norm())
    assert report.moved == pytest.approx(moved, rel=1e-9)
    assert list(report.seconds) == ["index", "local", "newton"]
    assert all(seconds > 0 for seconds in report.seconds.values())
    assert report.as_dict()["seconds"] == report.seconds
    assert report.passes >= 2 * report.outer
    assert report.inner >= report.outer > 0


def test_the_report_of_a_retraining_names_its_phases_and_is_relative_to_the_same_gradient(parent: Snapshot) -> None:
    def made(by: Callable[..., Unlearned], **more: int) -> Report:
        return by(parent, SUBJECT, watermark=1, parent_digest=PARENT_DIGEST, tolerance=1e-3, **more).report

    retrained, unlearned = made(retrain, seed=1), made(unlearn)
    assert (retrained.algorithm, unlearned.algorithm) == ("retrain", "alteraser")
    assert list(retrained.seconds) == ["index", "sweeps", "newton"]
    assert retrained.residual <= retrained.tolerance == pytest.approx(unlearned.tolerance)
    assert retrained.moved > 0.5 * unlearned.moved


@pytest.mark.parametrize("deletions", [Deletions(), Deletions(subjects=frozenset(["never seen"]))])
def test_deleting_nothing_is_the_identity(parent: Snapshot, deletions: Deletions) -> None:
    child = child_of(parent, deletions, tolerance=1e-4)
    assert child.interactions.digest() == parent.interactions.digest()
    torch.testing.assert_close(scores_of(child), scores_of(parent), rtol=0, atol=1e-7)


def test_deleting_nothing_is_reported_as_such(parent: Snapshot) -> None:
    report = unlearn(parent, Deletions(), watermark=1, parent_digest=PARENT_DIGEST).report
    assert report.removed == Removed()
    assert report.residual_before == 0.0
    assert report.moved < 1e-6


def test_with_the_dimensions_it_needs_a_child_is_proven_to_be_as_retrained() -> None:
    parent = small_snapshot(DATA, given=SATURATED)
    unlearned = unlearn(parent, SUBJECT, watermark=1, parent_digest=PARENT_DIGEST, tolerance=1e-7)
    child = unlearned.snapshot
    certified = kind("wmf").certify(child.parameters, child.interactions, child.hyperparameters)
    retrained = retrain(parent, SUBJECT, watermark=1, parent_digest=PARENT_DIGEST, seed=5, tolerance=1e-7).snapshot
    assert certified is not None
    assert certified.sigma <= 1 + 1e-6
    assert certified.rmse_ratio < 1e-4
    assert certified.bound_on_influence(unlearned.report.moved) < 1e-4
    apart = float((scores_of(child) - scores_of(retrained)).norm())
    assert apart <= certified.distance + 1e-6


def test_a_dimension_that_is_missing_is_added_at_the_services_tolerance() -> None:
    wide = small_snapshot(DATA, given=SATURATED)
    narrow = small_snapshot(DATA, given=SATURATED | {"d": wide.parameters.users.shape[1] - 1, "saturate": 0})
    parent = replace(narrow, hyperparameters={**narrow.hyperparameters, "saturate": 1})
    child = unlearn(parent, SUBJECT, watermark=1, parent_digest=PARENT_DIGEST, tolerance=1e-2).snapshot
    before, after = (
        kind("wmf").certify(each.parameters, each.interactions, each.hyperparameters) for each in (parent, child)
    )
    assert before is not None
    assert before.sigma > 1.001
    assert after is not None
    assert after.sigma < 1.0001


def test_the_order_of_deletions_does_not_matter(parent: Snapshot) -> None:
    one_way = child_of(child_of(parent, SUBJECT), ITEM)
    other_way = child_of(child_of(parent, ITEM), SUBJECT)
    at_once = child_of(parent, SUBJECT | ITEM)
    torch.testing.assert_close(scores_of(one_way), scores_of(at_once), rtol=0, atol=1e-6)
    torch.testing.assert_close(scores_of(other_way), scores_of(at_once), rtol=0, atol=1e-6)


def test_a_tighter_tolerance_leaves_less_influence(parent: Snapshot) -> None:
    oracle = child_of(parent, SUBJECT, tolerance=1e-9)
    rows = parent.interactions.users.rows(oracle.interactions.users.ids)
    before = Parameters(parent.parameters.users[rows], parent.parameters.items, parent.parameters.shared)
    left = [
        residual_influence(kind("wmf"), before, child_of(parent, SUBJECT, tolerance).parameters, oracle.parameters)
        for tolerance in (0.5, 1e-2, 1e-4)
    ]
    assert residual_influence(kind("wmf"), before, before, oracle.parameters) == 1.0
    assert 1.0 > left[0] > left[1] > left[2]
    assert left[2] < 1e-6


def test_everybody_can_be_forgotten(parent: Snapshot) -> None:
    child = child_of(parent, Deletions(subjects=frozenset(DATA.users.ids)))
    assert len(child.interactions) == 0
    assert child.parameters.users.shape == (0, 6)
    assert child.parameters.items.shape == (0, 6)


def test_a_user_whose_rows_all_go_is_forgotten_with_everything(parent: Snapshot) -> None:
    user = DATA.users.ids[5]
    by_rows = child_of(parent, Deletions(pairs=frozenset((user, item) for item in DATA.items_of(user))))
    at_once = child_of(parent, Deletions(subjects=frozenset([user])))
    assert by_rows.interactions.digest() == at_once.interactions.digest()
    torch.testing.assert_close(scores_of(by_rows), scores_of(at_once), rtol=0, atol=1e-6)


def test_what_did_not_converge_raises_instead_of_returning_a_child(
    parent: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alteraser.solve.MAX_OUTER", 1)
    with pytest.raises(NotConverged):
        child_of(parent, SUBJECT)
