"""The random step: as large as it may be, different each time, in no direction, and where the service asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest
import torch

from alteraser.deletions import Deletions
from alteraser.eraser import Forgetting, Unlearned, unlearn
from alteraser.influence import residual_influence
from alteraser.kinds import kind as kind_of
from alteraser.perturbation import SHARE, fresh_noise
from alteraser.snapshot import Snapshot
from alteraser.train import CPU
from tests.unit.alteraser.small_model import GIVEN, small_data, small_snapshot

TOLERANCE = 1e-2
KINDS: Mapping[str, Mapping[str, object]] = {"wmf": GIVEN, "neumf": {"d": 4}}


@cache
def live(kind: str) -> Snapshot:
    return small_snapshot(small_data(), given=KINDS[kind], kind=kind)


@cache
def deletions() -> Deletions:
    return Deletions(subjects=frozenset([live("wmf").interactions.users.ids[3]]))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def forgotten(kind: str, noise: torch.Generator | None, tolerance: float = TOLERANCE) -> Unlearned:
    return unlearn(live(kind), deletions(), watermark=1, parent_digest="", tolerance=tolerance, noise=noise)


def gradient_of(done: Unlearned) -> torch.Tensor:
    child = done.snapshot
    objective = kind_of(child.kind).objective(child.interactions, child.hyperparameters, CPU)
    return objective.value_and_gradient(child.parameters)[1].flat()


@pytest.mark.parametrize("kind", KINDS)
def test_it_fills_its_share_of_the_tolerance_and_the_run_converged(kind: str) -> None:
    report = forgotten(kind, seeded(0)).report
    assert report.residual <= report.tolerance == pytest.approx(TOLERANCE)
    assert report.perturbed == pytest.approx(SHARE * TOLERANCE, rel=0.1)
    assert report.residual == pytest.approx(report.perturbed, rel=0.05)
    assert forgotten(kind, None).report.perturbed == 0


@pytest.mark.parametrize("kind", KINDS)
def test_two_runs_end_in_places_whose_gradients_have_nothing_in_common(kind: str) -> None:
    first, second = (gradient_of(forgotten(kind, seeded(seed))) for seed in (0, 1))
    assert abs(torch.cosine_similarity(first, second, dim=0)) < 5 / len(first) ** 0.5
    bare = gradient_of(forgotten(kind, None))
    assert abs(torch.cosine_similarity(first, bare, dim=0)) < 5 / len(first) ** 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_less_influence_is_left_than_without_it_or_hardly_more(kind: str) -> None:
    exact = forgotten(kind, None, tolerance=1e-8).snapshot
    before = Forgetting.of(live(kind), deletions(), CPU).carried_over()
    child = forgotten(kind, seeded(0)).snapshot
    assert residual_influence(kind_of(kind), before, child.parameters, exact.parameters) < 1e-3


def test_where_nothing_was_deleted_there_is_nothing_to_hide() -> None:
    parent = live("wmf")
    bare, hidden = (unlearn(parent, Deletions(), watermark=1, parent_digest="", noise=n) for n in (None, seeded(0)))
    assert torch.equal(bare.snapshot.parameters.users, hidden.snapshot.parameters.users)


def test_a_tolerance_as_small_as_trainings_own_leaves_no_room() -> None:
    report = forgotten("wmf", seeded(0), tolerance=1e-12).report
    assert report.residual <= report.tolerance


def test_fresh_noise_is_never_the_same() -> None:
    first, second = (torch.randn(4, generator=fresh_noise()) for _ in range(2))
    assert not torch.equal(first, second)
