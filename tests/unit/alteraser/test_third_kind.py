"""A kind that this package has never heard of, found by its entry point, is trained and unlearned like its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from alteraser import snapshot
from alteraser.deletions import Deletions
from alteraser.eraser import Forgetting, unlearn
from alteraser.influence import residual_influence
from alteraser.interactions import Interactions
from alteraser.kinds import kind
from alteraser.model import Parameters, silent
from alteraser.report import Removed
from alteraser.snapshot import Snapshot
from alteraser.solve import newton
from alteraser.synthetic import synthetic
from alteraser.train import CPU, train
from tests.installed import installed

NAME = "two-towers"
PARENT_DIGEST = "0" * 64
LOG = synthetic(30, 24, 260, seed=0)
DATA = Interactions.from_pairs(list(LOG.users), list(LOG.items))
USER, OTHER = DATA.users.ids[3], DATA.users.ids[8]
CASES = {
    "subject": Deletions(subjects=frozenset([USER])),
    "item": Deletions(items=frozenset([DATA.items_of(USER)[0]])),
    "rows": Deletions(pairs=frozenset((OTHER, item) for item in DATA.items_of(OTHER)[:3])),
}
every_case = pytest.mark.parametrize("deletions", CASES.values(), ids=CASES.keys())


@pytest.fixture(scope="module", autouse=True)
def _two_towers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("site"), {NAME: "tests.unit.alteraser.two_towers:TWO_TOWERS"}):
        yield


@pytest.fixture(scope="module")
def parent() -> Snapshot:
    given = {"d": 3, "reg": 0.05, "reg_row": 0.5, "reg_shared": 0.08}
    trained = train(NAME, given, DATA, seed=0, sweeps=4)
    return Snapshot(
        kind=NAME,
        hyperparameters=dict(trained.hyperparameters),
        parameters=trained.parameters,
        interactions=DATA,
        watermark=0,
        parent=None,
        residual=trained.report.residual,
    )


def child_of(parent: Snapshot, deletions: Deletions, tolerance: float) -> Snapshot:
    return unlearn(parent, deletions, watermark=1, parent_digest=PARENT_DIGEST, tolerance=tolerance).snapshot


def oracle_of(parent: Snapshot, deletions: Deletions) -> tuple[Parameters, Parameters]:
    """The parent's blocks that are kept, and where Newton leads from them to 1e-7 of the gradient left there."""
    forgetting = Forgetting.of(parent, deletions, CPU)
    before = forgetting.carried_over()
    _, gradient = forgetting.objective.value_and_gradient(before)
    found = newton(forgetting.objective, before, target=1e-7 * gradient.norm(), scale=1.0, watch=silent)
    return before, found.parameters


def scores_of(of: Snapshot) -> NDArray[np.float64]:
    return kind(NAME).scores(of.parameters, np.arange(of.interactions.n_users))


def test_training_ends_at_a_minimum_that_tells_users_apart(parent: Snapshot) -> None:
    objective = kind(NAME).objective(DATA, parent.hyperparameters, CPU)
    _, gradient = objective.value_and_gradient(parent.parameters)
    assert gradient.norm() <= 1e-9 * objective.gradient_scale(parent.parameters)
    assert scores_of(parent).std(axis=0).mean() > 0.1


@every_case
def test_it_forgets_and_doing_nothing_does_not(parent: Snapshot, deletions: Deletions) -> None:
    before, oracle = oracle_of(parent, deletions)

    def influence(after: Parameters) -> float:
        return residual_influence(kind(NAME), before, after, oracle)

    assert influence(child_of(parent, deletions, 1e-2).parameters) <= 1e-2
    assert influence(child_of(parent, deletions, 1e-6).parameters) <= 1e-8
    assert influence(before) > 1e-2


@every_case
def test_what_was_deleted_is_in_no_part_of_the_child(parent: Snapshot, deletions: Deletions) -> None:
    child = child_of(parent, deletions, 1e-2)
    assert not deletions.subjects & set(child.interactions.users.ids)
    assert not deletions.items & set(child.interactions.items.ids)
    assert len(child.interactions) < len(DATA)


def test_deleting_nothing_is_the_identity(parent: Snapshot) -> None:
    unlearned = unlearn(parent, Deletions(), watermark=1, parent_digest=PARENT_DIGEST)
    assert unlearned.report.removed == Removed()
    np.testing.assert_allclose(scores_of(unlearned.snapshot), scores_of(parent), rtol=0, atol=1e-6)


def test_everything_can_be_forgotten(parent: Snapshot) -> None:
    child = child_of(parent, Deletions(subjects=frozenset(DATA.users.ids)), 1e-2)
    assert len(child.parameters.users) == len(child.parameters.items) == 0


def test_its_snapshot_comes_back_from_disk_and_unlearns_the_same(parent: Snapshot, tmp_path: Path) -> None:
    digest = snapshot.write(tmp_path, parent)
    again = snapshot.read(tmp_path, digest)
    assert snapshot.write(tmp_path / "again", again) == digest
    children = [child_of(each, CASES["rows"], 1e-2) for each in (parent, again)]
    np.testing.assert_array_equal(scores_of(children[0]), scores_of(children[1]))


def test_it_has_no_certificate(parent: Snapshot) -> None:
    assert kind(NAME).certify(parent.parameters, parent.interactions, parent.hyperparameters) is None


def test_a_distance_is_that_of_the_scores(parent: Snapshot) -> None:
    at = parent.parameters
    moved = Parameters(1.1 * at.users, at.items, at.shared)
    rows = np.arange(len(at.users))
    expected = np.linalg.norm(kind(NAME).scores(at, rows) - kind(NAME).scores(moved, rows))
    assert kind(NAME).distance(at, moved) == pytest.approx(expected, rel=1e-12)
